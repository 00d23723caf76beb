use super::*;

fn core() -> CoreTelemetry {
    CoreTelemetry {
        handles_open: 1,
        cache_header_entries: 2,
        cache_header_bytes: 3,
        cache_header_bytes_max: 4,
        cache_header_hits: 5,
        cache_header_misses: 6,
        cache_size_entries: 7,
        readahead_budget_bytes: 8,
        readahead_charged_bytes: 9,
        tree_nodes: 10,
        inode_paths: 11,
        refresh_generation: 12,
        refresh_gap_fallbacks: 13,
        refresh_needs_rebuild: true,
    }
}

fn fuse() -> FuseTelemetry {
    FuseTelemetry {
        uptime_seconds: 20,
        reads_inflight: 21,
        reads_inflight_max: 22,
        read_errors: 23,
        dir_handles: 24,
        dir_handles_max: 25,
        pool_workers: 26,
        pool_active: 27,
        pool_queued: 28,
        passthrough: Some(PassthroughTelemetry {
            disabled: true,
            active: 30,
        }),
    }
}

fn samples(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[test]
fn all_blocks_in_the_order_of_the_contract() {
    let allocator = AllocatorStats {
        allocated: 40,
        resident: 41,
        active: 42,
        retained: 43,
    };
    let counters = Snapshot {
        opens: 50,
        stats: 51,
        preads: 52,
        pread_bytes: 53,
        art_chunks: 54,
        binary_tag_chunks: 55,
        scan_opens: 56,
        scan_preads: 57,
        scan_bytes_read: 58,
        readahead_hits: 59,
        readahead_misses: 60,
    };
    let text = render_prometheus(&core(), &fuse(), Some(&allocator), Some(&counters));
    assert!(text.ends_with("musefs_readahead_misses_total 60\n\n"));
    assert_eq!(
        samples(&text),
        [
            "musefs_uptime_seconds 20",
            "musefs_handles_open 1",
            "musefs_reads_inflight 21",
            "musefs_reads_inflight_max 22",
            "musefs_read_errors_total 23",
            "musefs_dir_handles 24",
            "musefs_dir_handles_max 25",
            "musefs_pool_workers 26",
            "musefs_pool_active 27",
            "musefs_pool_queued 28",
            "musefs_cache_header_entries 2",
            "musefs_cache_header_bytes 3",
            "musefs_cache_header_bytes_max 4",
            "musefs_cache_header_hits_total 5",
            "musefs_cache_header_misses_total 6",
            "musefs_cache_size_entries 7",
            "musefs_readahead_budget_bytes 8",
            "musefs_readahead_charged_bytes 9",
            "musefs_tree_nodes 10",
            "musefs_inode_paths 11",
            "musefs_refresh_generation 12",
            "musefs_refresh_gap_fallbacks_total 13",
            "musefs_refresh_needs_rebuild 1",
            "musefs_passthrough_disabled 1",
            "musefs_passthrough_active 30",
            "musefs_alloc_allocated_bytes 40",
            "musefs_alloc_resident_bytes 41",
            "musefs_alloc_active_bytes 42",
            "musefs_alloc_retained_bytes 43",
            "musefs_backing_opens_total 50",
            "musefs_backing_stats_total 51",
            "musefs_backing_preads_total 52",
            "musefs_backing_pread_bytes_total 53",
            "musefs_art_chunks_total 54",
            "musefs_binary_tag_chunks_total 55",
            "musefs_scan_opens_total 56",
            "musefs_scan_preads_total 57",
            "musefs_scan_bytes_total 58",
            "musefs_readahead_hits_total 59",
            "musefs_readahead_misses_total 60",
        ]
    );
}

#[test]
fn absent_blocks_are_left_out() {
    let fuse = FuseTelemetry {
        passthrough: None,
        ..fuse()
    };
    let text = render_prometheus(&core(), &fuse, None, None);
    for absent in ["passthrough", "alloc", "backing", "scan", "readahead_hits"] {
        assert!(!text.contains(absent), "{absent}");
    }
    assert!(text.ends_with("musefs_refresh_needs_rebuild 1\n\n"));
}

#[test]
fn a_served_text_has_the_contract_first_and_each_family_once() {
    let engine = Engine::new();
    let declared = crate::metrics::CoreMetrics::declare(&engine).unwrap();
    let metrics = &declared.serving;
    let states = StateGauges::declare(&engine).unwrap();
    let reads = engine.up_down_counters(&READS_INFLIGHT).unwrap();
    let errors = engine.counter(&READ_ERRORS).unwrap();
    metrics.scan_opens.add(3);
    metrics.handles_open.add(1);
    metrics.cache_header_hits.add(5);
    metrics.cache_header_misses.add(6);
    declared.refresh.gap_fallbacks.add(13);
    reads.add(0, 21);
    errors.add(23);
    states.show(&core(), &fuse(), None);
    let plain = render_served(&engine.snapshot(), &[]);
    let counters = Snapshot {
        scan_opens: 3,
        ..Snapshot::default()
    };
    let contract = render_prometheus(&core(), &fuse(), None, Some(&counters));
    assert!(plain.starts_with(contract.trim_end()), "{plain}");
    let types: Vec<&str> = plain
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    let distinct: HashSet<&&str> = types.iter().collect();
    assert_eq!(types.len(), distinct.len());

    let labelled = render_served(
        &engine.snapshot(),
        &[("mount".to_owned(), "/mnt".to_owned())],
    );
    assert!(labelled.contains("musefs_scan_opens_total{mount=\"/mnt\"} 3\n"));
    assert!(
        samples(&labelled)
            .iter()
            .all(|sample| sample.contains("{mount=\"/mnt\""))
    );
}
