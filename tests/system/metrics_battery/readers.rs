//! The table of readers: a new one is a line.

/// What a reader is to print, from the bytes of the file.
pub type Expected = fn(&[u8]) -> Vec<u8>;

/// The text itself.
const WHOLE: Expected = <[u8]>::to_vec;

/// A reader: the program that it needs, what is run, and what comes of it. `$f` is the file and `$o` an empty directory;
/// `$python` is the interpreter.
pub const READERS: &[(&str, &str, Expected)] = &[
    ("cat", "cat $f", WHOLE),
    ("head", "head -n 3 $f", |text| {
        lines(text, |all| all.truncate(3))
    }),
    ("head", "head -c 5000 $f", |text| {
        text[..text.len().min(5000)].to_vec()
    }),
    ("tail", "tail -n 1 $f", |text| {
        lines(text, |all| drop(all.drain(..all.len() - 1)))
    }),
    ("tail", "tail -c +4000 $f", |text| {
        text[text.len().min(3999)..].to_vec()
    }),
    ("tac", "tac $f", |text| lines(text, |all| all.reverse())),
    ("sort", "LC_ALL=C sort $f", |text| {
        lines(text, |all| all.sort_unstable())
    }),
    ("grep", "grep '' $f", WHOLE),
    ("grep", "grep -c '' $f", line_count),
    ("grep", "grep -r -h '' $f", WHOLE),
    ("awk", "awk 1 $f", WHOLE),
    ("awk", "awk 'END { print NR }' $f", line_count),
    ("sed", "sed -n p $f", WHOLE),
    ("wc", "wc -l < $f", line_count),
    ("wc", "wc -c < $f", size),
    (
        "md5sum",
        "md5sum < $f > $o/sum && md5sum $f > /dev/null && cat $f",
        WHOLE,
    ),
    ("od", "od -An -v -tx1 -w1 $f | wc -l", size),
    ("split", "split -b 1000 $f $o/part. && cat $o/part.*", WHOLE),
    ("dd", "dd if=$f bs=7 status=none", WHOLE),
    ("dd", "dd if=$f bs=511 status=none", WHOLE),
    ("dd", "dd if=$f bs=4097 status=none", WHOLE),
    ("dd", "dd if=$f bs=1M status=none", WHOLE),
    ("dd", "dd if=$f bs=4096 iflag=direct status=none", WHOLE),
    ("dd", "dd if=$f bs=4096 iflag=nonblock status=none", WHOLE),
    ("dd", "dd if=$f bs=1 skip=1 count=100 status=none", |text| {
        text[1..text.len().min(101)].to_vec()
    }),
    (
        "bash",
        "while IFS= read -r line; do printf '%s\\n' \"$line\"; done < $f",
        WHOLE,
    ),
    ("bash", "mapfile all < $f; printf %s \"${all[@]}\"", WHOLE),
    ("bash", "text=$(< $f); printf '%s\\n' \"$text\"", WHOLE),
    ("bash", "[ -s $f ] && echo yes", |_| b"yes\n".to_vec()),
    ("bash", "exec 3< $f; cat <&3", WHOLE),
    ("stat", "stat -c %s $f", size),
    ("find", "find $f -size +0 -type f -printf '%s\\n'", size),
    ("cp", "cp $f $o/copy && cat $o/copy", WHOLE),
    (
        "cp",
        "cp -a --sparse=always $f $o/copy && cat $o/copy",
        WHOLE,
    ),
    ("install", "install -m 644 $f $o/copy && cat $o/copy", WHOLE),
    (
        "busybox",
        "busybox cp $f $o/copy && busybox cat $o/copy",
        WHOLE,
    ),
    ("busybox", "busybox cat $f", WHOLE),
    (
        "busybox",
        "busybox tar -c -C ${f%/*} ${f##*/} | busybox tar -x -O",
        WHOLE,
    ),
    ("rsync", "rsync $f $o/copy && cat $o/copy", WHOLE),
    (
        "rsync",
        "rsync -t --checksum --inplace $f $o/copy && cat $o/copy",
        WHOLE,
    ),
    (
        "tar",
        "tar -c -C ${f%/*} ${f##*/} > $o/archive && tar -x -O -f $o/archive",
        WHOLE,
    ),
    ("gzip", "gzip -c $f | gzip -d -c", WHOLE),
    ("curl", "curl -sS file://$f", WHOLE),
    ("less", "less $f | cat", WHOLE),
    ("perl", "perl -ne print $f", WHOLE),
    ("perl", "perl -0777 -e 'open F, shift; print <F>' $f", WHOLE),
    (
        "perl",
        "perl -MFile::Copy -e 'copy shift, \\*STDOUT' $f",
        WHOLE,
    ),
    (
        "node",
        "node -e 'process.stdout.write(require(\"fs\").readFileSync(process.argv[1]))' $f",
        WHOLE,
    ),
    (
        "node",
        "node -e 'require(\"fs\").createReadStream(process.argv[1]).pipe(process.stdout)' $f",
        WHOLE,
    ),
    (
        "sqlite3",
        "sqlite3 :memory: \"SELECT length(readfile('$f'))\"",
        size,
    ),
    (
        "python3",
        "$python -c 'import sys; sys.stdout.write(open(sys.argv[1]).read())' $f",
        WHOLE,
    ),
    (
        "python3",
        "$python -c 'import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2])' $f $o/copy; cat $o/copy",
        WHOLE,
    ),
    (
        "python3",
        // As web servers do: by the size of the open file.
        "$python -c 'import os, sys; f = os.open(sys.argv[1], 0); os.sendfile(1, f, 0, os.fstat(f).st_size)' $f > $o/copy; \
         cat $o/copy",
        WHOLE,
    ),
    (
        "python3",
        "$python -c 'import os, sys; print(os.lseek(os.open(sys.argv[1], 0), 0, os.SEEK_END))' $f",
        size,
    ),
    (
        "python3",
        "$python -c 'import mmap, os, sys
m = mmap.mmap(os.open(sys.argv[1], 0), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
sys.stdout.buffer.write(m[:])' $f",
        WHOLE,
    ),
    (
        "python3",
        // Backwards, a piece at a time.
        "$python -c 'import os, sys
f = os.open(sys.argv[1], 0)
n = os.fstat(f).st_size
parts = [os.pread(f, 1000, at) for at in range(0, n, 1000)][::-1]
sys.stdout.buffer.write(b\"\".join(parts[::-1]))' $f",
        WHOLE,
    ),
];

/// What scripts/test.sh does not install: such readers are tried where they are.
pub const OPTIONAL: [&str; 4] = ["less", "node", "perl", "sqlite3"];

/// The lines of a text after `change`.
fn lines(text: &[u8], change: impl FnOnce(&mut Vec<&[u8]>)) -> Vec<u8> {
    let mut all: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    change(&mut all);
    all.concat()
}

fn line_count(text: &[u8]) -> Vec<u8> {
    format!("{}\n", text.split_inclusive(|&byte| byte == b'\n').count()).into_bytes()
}

fn size(text: &[u8]) -> Vec<u8> {
    format!("{}\n", text.len()).into_bytes()
}
