//! The resources of this process, with the names that all Prometheus clients use. Read from `/proc`; other systems than
//! Linux have none.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Clock ticks for each second in `/proc`: `USER_HZ`, a constant of the interface between Linux and programs.
const TICKS: f64 = 100.0;

/// Reads the resources at each scrape.
#[derive(Debug)]
pub(super) struct ProcessCollector;

/// A snapshot of the resources.
#[derive(Debug, PartialEq)]
struct Resources {
    cpu_seconds: f64,
    threads: f64,
    start_seconds_after_boot: f64,
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let resources = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| parse_stat(&stat));
        if let Some(Resources { cpu_seconds, .. }) = resources {
            let help = "The processor time that this process used.";
            let metric = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
            ConstCounter::new(cpu_seconds).encode(metric)?;
        }
        let boot = fs::read_to_string("/proc/stat").ok().and_then(|stat| number_after(&stat, "btime"));
        let start = boot.zip(resources.as_ref()).map(|(boot, resources)| boot + resources.start_seconds_after_boot);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |line| number_after(&status, line).map(|kibibytes| kibibytes * 1024.0);
        let files = fs::read_dir("/proc/self/fd").ok().and_then(|files| u32::try_from(files.count()).ok());
        // One of them is the folder that was just read.
        let files = files.map(|count| f64::from(count.saturating_sub(1)));
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let gauges = [
            ("process_resident_memory_bytes", "The memory of this process that is in RAM.", bytes("VmRSS:")),
            ("process_virtual_memory_bytes", "The address space of this process.", bytes("VmSize:")),
            ("process_open_fds", "The files and sockets that this process has open.", files),
            ("process_max_fds", "How many files this process may open.", number_after(&limits, "Max open files")),
            ("process_threads", "The threads of this process.", resources.map(|resources| resources.threads)),
            ("process_start_time_seconds", "When this process started, in seconds since 1970.", start),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(metric)?;
            }
        }
        Ok(())
    }
}

/// The number after a name at the beginning of a line.
fn number_after(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Parses `/proc/self/stat`. The name of the program, in parentheses, may contain anything.
fn parse_stat(stat: &str) -> Option<Resources> {
    let (_, fields) = stat.rsplit_once(')')?;
    // The first of them is field 3 of proc(5).
    let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse::<f64>().ok();
    Some(Resources {
        cpu_seconds: (field(14)? + field(15)?) / TICKS,
        threads: field(20)?,
        start_seconds_after_boot: field(22)? / TICKS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stat_of_a_process_with_any_name_is_parsed() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 9 0 4200 1000 200 18446744073709551615";
        let expected = Resources { cpu_seconds: 3.0, threads: 9.0, start_seconds_after_boot: 42.0 };
        assert_eq!(parse_stat(stat), Some(expected));
        assert_eq!(parse_stat("7 (a) S 1"), None);
    }
}
