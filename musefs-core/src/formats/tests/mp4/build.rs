//! Small MP4 files, atom by atom.

pub(super) fn atom(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes(), kind, body].concat()
}

/// A `data` atom of that type.
pub(super) fn data(data_type: u32, value: &[u8]) -> Vec<u8> {
    atom(
        b"data",
        &[&data_type.to_be_bytes(), &[0; 4], value].concat(),
    )
}

/// An item of one text.
pub(super) fn text(kind: &[u8], value: &str) -> Vec<u8> {
    atom(kind, &data(1, value.as_bytes()))
}

/// A freeform item with these `data` atoms.
pub(super) fn freeform(mean: &str, name: &str, values: &[Vec<u8>]) -> Vec<u8> {
    let named = |kind: &[u8], text: &str| atom(kind, &[&[0; 4], text.as_bytes()].concat());
    let body = [named(b"mean", mean), named(b"name", name), values.concat()].concat();
    atom(b"----", &body)
}

pub(super) fn handler(kind: &[u8]) -> Vec<u8> {
    atom(b"hdlr", &[&[0; 8][..], kind, &[0; 13]].concat())
}

/// A `udta` as iTunes writes it.
pub(super) fn tagged(items: &[Vec<u8>]) -> Vec<u8> {
    let list = atom(b"ilst", &items.concat());
    let meta = [vec![0; 4], handler(b"mdir"), list, atom(b"free", &[0; 99])].concat();
    atom(b"udta", &atom(b"meta", &meta))
}

/// How a file is put together.
#[derive(Clone)]
pub(super) struct Mp4 {
    pub(super) tracks: u8,
    /// How many `mdat` atoms stand before and behind `moov`.
    pub(super) before: u8,
    pub(super) behind: u8,
    /// Whether tables have 8 bytes an entry.
    pub(super) is_wide: bool,
    /// Whether an `mdat` has a size of 64 bits.
    pub(super) is_large: bool,
    /// Whether the last atom of the file has a size of 0.
    pub(super) is_open: bool,
    /// The name of the sample entries.
    pub(super) codec: [u8; 4],
    /// What stands in `stbl` besides.
    pub(super) in_table: Vec<u8>,
    /// What stands in `moov` behind the tracks.
    pub(super) in_movie: Vec<u8>,
    /// What stands at the end of the file.
    pub(super) end: Vec<u8>,
}

impl Default for Mp4 {
    fn default() -> Self {
        Self {
            tracks: 1,
            before: 0,
            behind: 1,
            is_wide: false,
            is_large: false,
            is_open: false,
            codec: *b"mp4a",
            in_table: Vec::new(),
            in_movie: Vec::new(),
            end: Vec::new(),
        }
    }
}

/// Length of a chunk in bytes.
pub(super) const CHUNK_BYTES: usize = 16;

impl Mp4 {
    /// A file of one track with these items.
    pub(super) fn tagged(items: &[Vec<u8>]) -> Self {
        Self {
            in_movie: tagged(items),
            ..Self::default()
        }
    }

    pub(super) fn build(&self) -> Vec<u8> {
        // The places are known when the sizes are, which do not depend on them.
        let (_, places) = self.placed(&vec![vec![0; self.sounds()]; usize::from(self.tracks)]);
        self.placed(&places).0
    }

    fn sounds(&self) -> usize {
        usize::from(self.before + self.behind)
    }

    fn placed(&self, places: &[Vec<u64>]) -> (Vec<u8>, Vec<Vec<u64>>) {
        let mut file = atom(b"ftyp", b"M4A \0\0\0\0M4A mp42");
        let mut found = vec![Vec::new(); usize::from(self.tracks)];
        for index in 0..self.before {
            self.sound(index, &mut found, &mut file);
        }
        file.extend(self.movie(places));
        file.extend(atom(b"free", &[0; 33]));
        for index in self.before..self.before + self.behind {
            self.sound(index, &mut found, &mut file);
        }
        file.extend(&self.end);
        (file, found)
    }

    /// An `mdat` with a chunk of each track.
    fn sound(&self, index: u8, places: &mut [Vec<u64>], file: &mut Vec<u8>) {
        let mut body = Vec::new();
        let is_open = self.is_open && index + 1 == self.before + self.behind;
        let is_large = self.is_large && !is_open;
        let header = if is_large { 16 } else { 8 };
        for (track, places) in (0..).zip(places) {
            body.extend([0xee; 5]);
            places.push((file.len() + header + body.len()) as u64);
            let chunk: [u8; CHUNK_BYTES] = [track * 16 + index + 1; CHUNK_BYTES];
            body.extend(chunk);
        }
        let size = if is_open { 0 } else { body.len() + header };
        if is_large {
            file.extend(b"\0\0\0\x01mdat");
            file.extend((size as u64).to_be_bytes());
        } else {
            file.extend(u32::try_from(size).unwrap().to_be_bytes());
            file.extend(b"mdat");
        }
        file.extend(body);
    }

    fn movie(&self, places: &[Vec<u64>]) -> Vec<u8> {
        let mut body = atom(b"mvhd", &[1; 100]);
        for places in places {
            let count = u32::try_from(places.len()).unwrap().to_be_bytes();
            let mut entries = [&[0; 4], &count[..]].concat();
            for place in places {
                let skip = if self.is_wide { 0 } else { 4 };
                entries.extend(&place.to_be_bytes()[skip..]);
            }
            let entry = atom(&self.codec, &[0; 28]);
            let table = [
                atom(b"stsd", &[&b"\0\0\0\0\0\0\0\x01"[..], &entry].concat()),
                atom(b"stsz", &[2; 60]),
                atom(if self.is_wide { b"co64" } else { b"stco" }, &entries),
                self.in_table.clone(),
            ];
            let reference = atom(b"url ", b"\0\0\0\x01");
            let references = atom(b"dref", &[&b"\0\0\0\0\0\0\0\x01"[..], &reference].concat());
            let information = [
                atom(b"smhd", &[0; 8]),
                atom(b"dinf", &references),
                atom(b"stbl", &table.concat()),
            ];
            let media = [
                atom(b"mdhd", &[0; 24]),
                handler(b"soun"),
                atom(b"minf", &information.concat()),
            ];
            let track = [
                atom(b"tkhd", &[0; 84]),
                atom(b"mdia", &media.concat()),
                atom(b"udta", &atom(b"name", b"a track")),
            ];
            body.extend(atom(b"trak", &track.concat()));
        }
        body.extend(&self.in_movie);
        atom(b"moov", &body)
    }
}

/// The bodies of the atoms at that path, by a walk of the tests' own.
pub(super) fn bodies<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Vec<&'a [u8]> {
    let Some((kind, path)) = path.split_first() else {
        return vec![bytes];
    };
    let mut found = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 8 {
        let size = usize::try_from(u32::from_be_bytes(rest[..4].try_into().unwrap())).unwrap();
        let (header, size) = match size {
            0 => (8, rest.len()),
            1 => {
                let size = u64::from_be_bytes(rest[8..16].try_into().unwrap());
                (16, usize::try_from(size).unwrap())
            }
            size => (8, size),
        };
        if &rest[4..8] == *kind {
            found.extend(bodies(&rest[header..size], path));
        }
        rest = &rest[size..];
    }
    found
}

/// Where the chunks of each track lie.
pub(super) fn chunk_places(bytes: &[u8]) -> Vec<Vec<u64>> {
    const TABLE: [&[u8; 4]; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];
    let mut tracks = Vec::new();
    for table in bodies(bytes, &TABLE) {
        for (kind, width) in [(b"stco", 4), (b"co64", 8)] {
            for body in bodies(table, &[kind]) {
                let count = u32::from_be_bytes(body[4..8].try_into().unwrap());
                let places: Vec<u64> = body[8..]
                    .chunks(width)
                    .map(|entry| {
                        entry
                            .iter()
                            .fold(0, |place, byte| place << 8 | u64::from(*byte))
                    })
                    .collect();
                assert_eq!(places.len(), usize::try_from(count).unwrap());
                tracks.push(places);
            }
        }
    }
    tracks
}

/// The chunks of each track.
pub(super) fn chunks(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let chunk = |place: u64| {
        let place = usize::try_from(place).unwrap();
        &bytes[place..place + CHUNK_BYTES]
    };
    let all = chunk_places(bytes);
    all.into_iter()
        .map(|places| places.into_iter().map(chunk).collect())
        .collect()
}
