//! Every metric is declared once, with its help; the reference in the documentation is made of those declarations.

use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

use prometheus::{
    Registry,
    core::Collector,
    proto::{MetricFamily, MetricType},
};

/// A metric as it was declared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    pub labels: Vec<String>,
    pub help: String,
}

/// The registry of a process, and what was registered with it.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    registry: Registry,
    declared: Mutex<Vec<Declared>>,
}

impl Catalogue {
    /// Registers a metric. Both steps only fail for a malformed or repeated name, which is a mistake in the program.
    pub(super) fn add<M: Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.unwrap_or_else(|error| panic!("a metric is malformed: {error}"));
        if let Err(error) = self.registry.register(Box::new(metric.clone())) {
            panic!("a metric cannot be registered: {error}");
        }
        let families = metric.collect();
        let declared = metric.desc().into_iter().map(|desc| {
            let family = families.iter().find(|family| family.name() == desc.fq_name);
            let constant = desc.const_label_pairs.iter().map(|pair| pair.name().to_owned());
            Declared {
                name: desc.fq_name.clone(),
                kind: family.map_or("gauge", kind),
                labels: constant.chain(desc.variable_labels.iter().cloned()).collect(),
                help: desc.help.clone(),
            }
        });
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).extend(declared);
        metric
    }

    /// By name.
    pub(super) fn declared(&self) -> Vec<Declared> {
        let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        declared.sort();
        declared
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }
}

fn kind(family: &MetricFamily) -> &'static str {
    match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        _ => "gauge",
    }
}

/// A table of metrics in Markdown.
pub fn to_markdown(declared: &[Declared]) -> String {
    let mut text = String::from("| metric | kind | labels | what it says |\n| --- | --- | --- | --- |\n");
    for Declared { name, kind, labels, help } in declared {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let help = help.replace('|', "\\|");
        // Writing to a String never fails.
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts};

    use super::*;

    #[test]
    fn what_is_registered_is_declared_also_while_it_has_no_series() {
        let catalogue = Catalogue::default();
        let options = Opts::new("things_total", "Things | all").const_label("place", "here");
        catalogue.add(IntCounterVec::new(options, &["kind"]));
        catalogue.add(Histogram::with_opts(HistogramOpts::new("seconds", "Seconds")));
        assert_eq!(
            to_markdown(&catalogue.declared()),
            "| metric | kind | labels | what it says |\n\
             | --- | --- | --- | --- |\n\
             | `seconds` | histogram |  | Seconds |\n\
             | `things_total` | counter | `place`, `kind` | Things \\| all |\n"
        );
    }
}
