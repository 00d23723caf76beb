//! What to do when a number is bad: one sentence or two for each family of the catalogue, in the order of the page that
//! `musefs metrics list --markdown` prints.
//!
//! Every family has its line here and every line its family: a test compares the two.

/// Families that are looked at together.
pub(super) struct Group {
    /// The heading above them.
    pub title: &'static str,
    /// Names, each with what to do when the number is bad.
    pub families: &'static [(&'static str, &'static str)],
}

/// All advice.
pub(super) const GROUPS: &[Group] = &[
    Group {
        title: "Is it well?",
        families: &[
            (
                "musefs_up",
                "0, or no such number: mount again. A file written by `musefs metrics textfile` says 0 when the mount has gone.",
            ),
            (
                "musefs_health_state",
                "`degraded` or `failing`: the file `health` beside the metrics says why.",
            ),
            (
                "musefs_backing_reachable",
                "0: a disk or share is away or hangs. The file `config` says which root has which number.",
            ),
            (
                "musefs_oldest_inflight_seconds",
                "Many seconds: a disk or network does not answer. After `--backing-timeout` the request gets an error.",
            ),
            (
                "musefs_read_errors_total",
                "Growing: players get errors. The log names the files, `musefs_backing_failures_total` the reasons.",
            ),
            (
                "musefs_starved_seconds_total",
                "Growing: music stutters, because reads take longer than what they bring plays. Look where the time goes in `musefs_op_phase_seconds_total`.",
            ),
            (
                "musefs_uptime_seconds",
                "Falls back to 0: somebody mounted anew, or the program was started again.",
            ),
            (
                "musefs_start_time_seconds",
                "Changes: the mount was made anew. Ask the journal of your system why.",
            ),
            (
                "musefs_build_info",
                "Nothing to do: tells after an update whether the mount already runs the new program.",
            ),
        ],
    },
    Group {
        title: "Requests",
        families: &[
            (
                "musefs_ops_total",
                "Growing fast with nobody listening: something crawls the mount, such as an indexer or a backup. Exclude the mount there.",
            ),
            (
                "musefs_op_errors_total",
                "`EIO` growing: files cannot be read, see the log. `ENOENT` is ordinary: programs ask for names that may be there.",
            ),
            (
                "musefs_op_duration_seconds",
                "Long reads: the disk is slow or busy. Long lookups are none of the disk's doing: look at the machine's load.",
            ),
            (
                "musefs_op_phase_seconds_total",
                "Much `queue`: more `--workers`. Much `backing`: a slow disk. Much `store`: the store lies on a slow disk.",
            ),
            (
                "musefs_requests_total",
                "`refused` or `timed_out` growing: a disk hangs. `parked` growing: more `--workers`. `panicked`: a fault of musefs, please report it with the log.",
            ),
            (
                "musefs_requests_parked",
                "Above 0 for long: more requests wait than the queue holds. A disk hangs, or `--reads-inflight-max` is too small.",
            ),
            (
                "musefs_reads_inflight",
                "Near `musefs_reads_inflight_max`: a disk hangs, or `--reads-inflight-max` is too small.",
            ),
            (
                "musefs_reads_inflight_max",
                "Nothing to do: the bound is `--reads-inflight-max`.",
            ),
            (
                "musefs_handles_open",
                "Only growing: some program opens files and never closes them.",
            ),
            (
                "musefs_dir_handles",
                "Near `musefs_dir_handles_max`: some program opens directories and never closes them.",
            ),
            (
                "musefs_dir_handles_max",
                "Nothing to do: the bound is `--dir-handles-max`.",
            ),
            (
                "musefs_pool_workers",
                "Far above `--workers`: threads hang on a disk and were replaced.",
            ),
            (
                "musefs_pool_active",
                "At `musefs_pool_workers` for long: all threads wait for disks. More `--workers`, or a faster disk.",
            ),
            (
                "musefs_pool_queued",
                "Above 0 for long: all threads wait for disks. More `--workers`, or a faster disk.",
            ),
            (
                "musefs_fuse_waiting",
                "Many for long while `musefs_reads_inflight` and `musefs_requests_parked` are 0: the machine is out of processor time.",
            ),
            (
                "musefs_fuse_max_background",
                "Nothing to do: how much read-ahead and the like the kernel has under way at once.",
            ),
            (
                "musefs_fuse_congestion_threshold",
                "Nothing to do: from so many background requests on the kernel holds back.",
            ),
            (
                "musefs_client_requests_total",
                "A name that grows fast: that program crawls the mount, or is what you listen with. Much `unknown`: programs that end at once, such as those of a script. `--no-clients` leaves it out.",
            ),
            (
                "musefs_client_read_bytes_total",
                "A name that grows fast with nobody listening: that program reads whole files, such as an indexer or a backup. Exclude the mount there.",
            ),
            (
                "musefs_client_names_displaced_total",
                "Growing fast: more than 16 programs ask in turn, and the numbers of the smaller ones begin anew again and again. Those of the busiest are right all the same.",
            ),
        ],
    },
    Group {
        title: "Bytes",
        families: &[
            (
                "musefs_read_bytes_total",
                "Grows slower than players need: look at durations. What the kernel has in its page cache is not asked for again.",
            ),
            (
                "musefs_read_size_bytes",
                "Mostly small: some program reads in small pieces, which costs time; nothing is wrong with the mount.",
            ),
            (
                "musefs_reads_total",
                "Mostly `seek` while music plays: several programs read the same files, or one looks for tags.",
            ),
            (
                "musefs_backing_opens_total",
                "Growing as fast as `musefs_ops_total` with `op=\"read\"`: more files are open than the system allows, raise the limit on open files.",
            ),
            (
                "musefs_backing_stats_total",
                "Nothing to do: looks at files that were opened or read, to see whether they are still as scanned.",
            ),
            (
                "musefs_backing_preads_total",
                "Far more than reads: compare with `musefs_read_size_bytes`.",
            ),
            (
                "musefs_backing_pread_bytes_total",
                "Far more than `musefs_read_bytes_total`: read-ahead reads what nobody wants. Lower `--readahead-mib`.",
            ),
            (
                "musefs_art_chunks_total",
                "Growing fast: some program reads the pictures of all files, which is how players fill their own library.",
            ),
            (
                "musefs_binary_tag_chunks_total",
                "Growing fast: some program reads the items of all files, such as lyrics in odd places.",
            ),
            (
                "musefs_readahead_hits_total",
                "Not growing while a slow disk is read from the start of files: give `--readahead-mib` more.",
            ),
            (
                "musefs_readahead_misses_total",
                "Growing as fast as the hits: too many players for `--readahead-mib`. On local disks this is ordinary.",
            ),
            (
                "musefs_readahead_budget_bytes",
                "0: reading ahead is off. Set `--readahead-mib`.",
            ),
            (
                "musefs_readahead_charged_bytes",
                "At the budget for long: give `--readahead-mib` more.",
            ),
            (
                "musefs_passthrough_disabled",
                "Nothing to do: 1 where the kernel does not read backing files by itself.",
            ),
            (
                "musefs_passthrough_active",
                "Nothing to do: what the kernel reads by itself is in no other number here.",
            ),
            (
                "musefs_passthrough_opens_total",
                "Not growing in structure-only mode: the kernel reads no files by itself. The file `config` says why.",
            ),
        ],
    },
    Group {
        title: "Files that are made ready",
        families: &[
            (
                "musefs_resolves_total",
                "`open` growing while the same files are opened again: raise `--header-cache-mib`.",
            ),
            (
                "musefs_resolves_coalesced_total",
                "Growing: several programs open the same files at once. Nothing to do: the work is done once for all of them.",
            ),
            (
                "musefs_resolve_seconds_total",
                "Many milliseconds for each: the store or the library lies on a slow disk.",
            ),
            (
                "musefs_cache_header_hits_total",
                "Small beside the misses while the same files are opened again: raise `--header-cache-mib`.",
            ),
            (
                "musefs_cache_header_misses_total",
                "Growing while the same files are opened again: raise `--header-cache-mib`. Each file misses once, so a crawl of everything misses everywhere.",
            ),
            (
                "musefs_cache_header_evictions_total",
                "Growing all the time: raise `--header-cache-mib`.",
            ),
            (
                "musefs_cache_header_stale_total",
                "Growing: files of the library change while they are served. Scan when whatever changes them is done.",
            ),
            (
                "musefs_cache_header_entries",
                "Nothing to do: files whose headers are in memory.",
            ),
            (
                "musefs_cache_header_bytes",
                "At its bound: ordinary after a while, unless evictions grow.",
            ),
            (
                "musefs_cache_header_bytes_max",
                "Nothing to do: the bound is `--header-cache-mib`.",
            ),
            (
                "musefs_cache_size_entries",
                "Below the number of tracks: sizes are being computed anew after an update of musefs.",
            ),
        ],
    },
    Group {
        title: "Library",
        families: &[
            (
                "musefs_library_tracks",
                "Fewer than you have: scan. `musefs status` tells what the last scan could not read.",
            ),
            (
                "musefs_library_directories",
                "Far more than albums: look at the template with `musefs mount --dry-run`.",
            ),
            (
                "musefs_library_bytes",
                "Nothing to do: sizes of all served files.",
            ),
            (
                "musefs_tracks_dark",
                "Above 0: `missing` and `unreadable` may be a disk that is away, `changed` wants a scan, `unparsable` is served as it is. `musefs revalidate` names the files.",
            ),
            (
                "musefs_backing_failures_total",
                "Growing: players ask for tracks that cannot be served. `musefs revalidate` names the files.",
            ),
            ("musefs_tree_nodes", "Nothing to do: names in the mount."),
            (
                "musefs_inode_paths",
                "Nothing to do: directories that are remembered by path.",
            ),
            (
                "musefs_last_scan_timestamp_seconds",
                "Long ago: new files are not found by themselves. Let a timer run `musefs scan`.",
            ),
            (
                "musefs_last_scan_duration_seconds",
                "Much longer than before: files changed and were read again, or the disk is slow.",
            ),
            (
                "musefs_last_scan_files",
                "`missing` above 0: files are gone, or a disk was away. `musefs revalidate` names them.",
            ),
            (
                "musefs_last_scan_failures",
                "Above 0: scan by hand and read its summary, which names the files.",
            ),
            (
                "musefs_scan_opens_total",
                "Nothing to do: `musefs scan` counts for itself, so a mount counts only files that it reads again of its own accord.",
            ),
            (
                "musefs_scan_preads_total",
                "Nothing to do: reads of files that the mount read again of its own accord.",
            ),
            (
                "musefs_scan_bytes_total",
                "Nothing to do: bytes of files that the mount read again of its own accord.",
            ),
        ],
    },
    Group {
        title: "Edits and the store",
        families: &[
            (
                "musefs_refresh_needs_rebuild",
                "1: the mount shows an older state than the store. The log says why.",
            ),
            (
                "musefs_refresh_polls_total",
                "`failed` growing: the store cannot be read. Look whether it is still there, and whether the mount's user may read it.",
            ),
            (
                "musefs_refresh_last_success_timestamp_seconds",
                "Longer ago than a few `--poll-interval-ms`: edits are not seen, because the store cannot be read.",
            ),
            (
                "musefs_refresh_lag_seconds",
                "Seconds: an edit took so long until it was shown. Edit fewer tracks at once, or put the store on a faster disk.",
            ),
            (
                "musefs_refresh_seconds_total",
                "Growing by as much as time passes: some program writes the store all the time.",
            ),
            (
                "musefs_refresh_generation",
                "Growing without your edits: some program edits the store.",
            ),
            (
                "musefs_refresh_gap_fallbacks_total",
                "Growing: the store file is replaced again and again. Edit it in place.",
            ),
            (
                "musefs_refresh_tracks_total",
                "Far more than you edited: some program rewrites rows that stay as they are.",
            ),
            (
                "musefs_refresh_rows_total",
                "Far more than you edited: some program rewrites rows that stay as they are.",
            ),
            (
                "musefs_refresh_nodes_total",
                "Far more than you edited: edits move many files, because the template puts what you edit at the top.",
            ),
            (
                "musefs_invalidations_total",
                "`failed` or `dropped` growing: programs may see old names for up to `--attr-ttl-ms`.",
            ),
            (
                "musefs_invalidations_queued",
                "Above 0 for long: a request hangs in what the kernel is to forget. See `musefs_oldest_inflight_seconds`.",
            ),
            (
                "musefs_invalidation_wait_seconds_total",
                "Growing fast: a request hangs in what the kernel is to forget. See `musefs_oldest_inflight_seconds`.",
            ),
            (
                "musefs_store_queries_total",
                "Growing fast with nobody listening: some program opens all files.",
            ),
            (
                "musefs_store_query_seconds_total",
                "Many milliseconds for each: put the store on a faster disk.",
            ),
            (
                "musefs_sqlite_memory_bytes",
                "Only growing: a fault of musefs, please report it.",
            ),
            (
                "musefs_store_wal_bytes",
                "Only growing: some program keeps the store open in the middle of a reading transaction.",
            ),
        ],
    },
    Group {
        title: "Process and memory",
        families: &[
            (
                "musefs_process_cpu_seconds_total",
                "Growing by a second per second: one core is busy. Look which operations grow.",
            ),
            (
                "musefs_process_resident_memory_bytes",
                "Above what `--header-cache-mib`, `--readahead-mib` and the library need: compare with `musefs_alloc_allocated_bytes`.",
            ),
            (
                "musefs_process_open_fds",
                "Near `musefs_process_max_fds`: opens will fail. Raise the hard limit, in a unit of systemd with LimitNOFILE.",
            ),
            (
                "musefs_process_max_fds",
                "About 1,000: the hard limit is low. Raise it, in a unit of systemd with LimitNOFILE.",
            ),
            (
                "musefs_process_threads",
                "Far above `--workers` and `--event-loops`: threads hang on a disk.",
            ),
            (
                "musefs_alloc_allocated_bytes",
                "Only growing over days with an unchanged library: a fault of musefs, please report it.",
            ),
            (
                "musefs_alloc_resident_bytes",
                "Far above the allocated bytes for long: memory is in pieces. Mounting again frees it.",
            ),
            (
                "musefs_alloc_active_bytes",
                "Far above the allocated bytes for long: memory is in pieces. Mounting again frees it.",
            ),
            (
                "musefs_alloc_retained_bytes",
                "Nothing to do: addresses that are kept and cost no memory.",
            ),
        ],
    },
    Group {
        title: "The metrics themselves",
        families: &[
            (
                "musefs_scrapes_total",
                "Not growing: nobody collects. Growing by more than one per second: some program reads the metrics like music.",
            ),
            (
                "musefs_snapshot_timestamp_seconds",
                "Nothing to do: divide how much a counter grew between two texts by how much this did.",
            ),
            (
                "musefs_trace_operations_total",
                "Many dropped: whoever follows the mount is too slow, or its terminal is. `--op` and `--slower-than` ask for less.",
            ),
            (
                "musefs_renders_total",
                "Nothing to do: at most one per second, however many read.",
            ),
            (
                "musefs_render_seconds_total",
                "More than some milliseconds for each: the machine is out of processor time.",
            ),
            (
                "musefs_http_requests_total",
                "`4xx` growing: somebody asks without the token, or for what is not there. `5xx` growing: the mount is failing, or does not come to answer.",
            ),
            (
                "musefs_http_connections",
                "At 64 for long: somebody opens connections and asks nothing, and others have to wait.",
            ),
            (
                "musefs_log_lines_dropped_total",
                "Growing: whoever reads the log is too slow. Log less: `MUSEFS_LOG=warn`.",
            ),
            (
                "musefs_operations_evicted_total",
                "`slow` or `failed` growing fast: look into the file `slow` more often, or raise `--slow-ms`. `recent` grows with every operation.",
            ),
            (
                "musefs_events_dropped_total",
                "Above 0: a fault of musefs, please report it.",
            ),
            (
                "musefs_event_handler_panics_total",
                "Above 0: a fault of musefs, please report it.",
            ),
            (
                "musefs_series_overflowed_total",
                "Above 0: a fault of musefs, please report it.",
            ),
        ],
    },
];
