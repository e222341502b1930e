//! The panic hook belongs to a whole process, so its test has one of its own.

use service::{logging::install_panic_hook, metrics::Metrics};

#[test]
fn a_panic_in_any_thread_is_counted_once() {
    let metrics = Metrics::new("test", "1", "r");
    install_panic_hook(metrics.panics().clone());
    assert!(std::thread::spawn(|| panic!("on purpose")).join().is_err());
    assert!(metrics.encode().contains("\ntest_panics_total 1\n"));
}
