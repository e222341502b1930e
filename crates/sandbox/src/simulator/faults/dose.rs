//! How often a fault strikes: so many times, or with a probability.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, SeqAccess, Visitor},
};

/// Written as `{"count": 3}`, `{"rate": 0.1}`, or shortly `3` and `0.1`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dose {
    /// The next so many times; counts down to 0.
    Count(u64),
    /// Each time with this probability.
    Rate(f64),
}

impl Dose {
    pub(crate) fn count(&self) -> Option<u64> {
        if let Self::Count(count) = self { Some(*count) } else { None }
    }

    pub(crate) fn rate(&self) -> Option<f64> {
        if let Self::Rate(rate) = self { Some(*rate) } else { None }
    }
}

/// Decides for a fault whose `count` and `rate` stand beside other fields; uses up the count.
/// `roll` is a number from 0 up to 1. Without either the fault strikes always.
pub(crate) fn strikes(count: &mut Option<u64>, rate: Option<f64>, roll: f64) -> bool {
    match (count, rate) {
        (Some(left), _) => {
            let due = *left > 0;
            *left = left.saturating_sub(1);
            due
        }
        (None, Some(rate)) => roll < rate,
        (None, None) => true,
    }
}

/// As [`strikes`] for an optional dose: no dose, no fault.
pub(crate) fn dose_strikes(dose: &mut Option<Dose>, roll: f64) -> bool {
    match dose {
        None => false,
        Some(Dose::Rate(rate)) => roll < *rate,
        Some(Dose::Count(left)) => {
            let due = *left > 0;
            *left = left.saturating_sub(1);
            due
        }
    }
}

pub(crate) fn problem(count: Option<u64>, rate: Option<f64>) -> Option<String> {
    match (count, rate) {
        (Some(_), Some(_)) => Some("give either a count or a rate, not both".to_owned()),
        (None, Some(rate)) if !(0.0..=1.0).contains(&rate) => {
            Some(format!("rate {rate} is no probability, use 0 to 1"))
        }
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Dose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DoseVisitor)
    }
}

struct DoseVisitor;

impl<'de> Visitor<'de> for DoseVisitor {
    type Value = Dose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"{"count": N}, {"rate": 0..1}, a whole number or a fraction"#)
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Dose, E> {
        Ok(Dose::Count(count))
    }

    fn visit_f64<E: de::Error>(self, rate: f64) -> Result<Dose, E> {
        Ok(Dose::Rate(rate))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Dose, A::Error> {
        let mut dose = None;
        while let Some(key) = map.next_key::<String>()? {
            let next = match key.as_str() {
                "count" => Dose::Count(map.next_value()?),
                "rate" => Dose::Rate(map.next_value()?),
                other => return Err(de::Error::unknown_field(other, &["count", "rate"])),
            };
            if dose.replace(next).is_some() {
                return Err(de::Error::custom("give either a count or a rate, not both"));
            }
        }
        dose.ok_or_else(|| de::Error::custom("give a count or a rate"))
    }
}

/// Reads one object or a list of them.
pub(super) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct OneOrMany<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object or a list of objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = seq.next_element()? {
                all.push(one);
            }
            Ok(all)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
            T::deserialize(de::value::MapAccessDeserializer::new(map)).map(|one| vec![one])
        }
    }

    deserializer.deserialize_any(OneOrMany(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_used_up_and_a_rate_is_not() {
        let mut count = Some(Dose::Count(2));
        let struck: Vec<bool> = (0..4).map(|_| dose_strikes(&mut count, 0.99)).collect();
        assert_eq!(struck, [true, true, false, false]);
        let mut rate = Some(Dose::Rate(0.5));
        assert!(dose_strikes(&mut rate, 0.49));
        assert!(!dose_strikes(&mut rate, 0.5));
        assert!(!dose_strikes(&mut None, 0.0));
    }

    #[test]
    fn a_fault_without_a_dose_strikes_always() {
        assert!(strikes(&mut None, None, 0.99));
        let mut left = Some(1);
        assert!(strikes(&mut left, None, 0.99));
        assert!(!strikes(&mut left, None, 0.0));
    }
}
