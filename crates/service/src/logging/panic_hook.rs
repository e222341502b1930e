//! A panic becomes one line of the log and one count, wherever it happens.

use std::panic::PanicHookInfo;

use prometheus::IntCounter;

/// From now on every panic is logged at error level and counted. A formatted message may quote what was worked on
/// (an `unwrap` or a string slice does), so it is only shown at debug level; the place is always shown.
/// As long as nothing logs, the hook that was there before prints the panic.
pub fn install_panic_hook(counter: IntCounter) {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        counter.inc();
        if tracing::dispatcher::has_been_set() {
            log(info);
        } else {
            previous(info);
        }
    }));
}

fn log(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let fixed = fixed_message(info.payload());
    tracing::error!(location, thread, reason = fixed.unwrap_or("see debug level"), "panic");
    if fixed.is_none() {
        tracing::debug!(location, reason = info.payload_as_str().unwrap_or("not text"), "panic message");
    }
}

/// The message when it is part of the program and so cannot hold data.
fn fixed_message(payload: &(dyn std::any::Any + Send)) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_without_data_is_shown() {
        assert_eq!(fixed_message(&"queue is gone"), Some("queue is gone"));
        assert_eq!(fixed_message(&String::from("cannot slice 'hello from +49…'")), None);
    }
}
