//! All that is wrong with the settings, in words that say what to write instead.

use std::fmt;

/// The exit code of a process that cannot start with its configuration (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;

/// One thing that is wrong with one setting. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The variable, file or object that is at fault.
    pub name: String,
    /// What is wrong, lowercase and without a full stop.
    pub what: String,
    /// What to write instead, as an instruction.
    pub instead: String,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.name, self.what, self.instead)
    }
}

/// Every problem that was found, in the order in which the settings are read; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<SettingProblem>);

impl Problems {
    /// None when there is nothing to complain about.
    pub fn from_list(problems: Vec<SettingProblem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The single problems.
    pub fn iter(&self) -> std::slice::Iter<'_, SettingProblem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 problem in the configuration:")?,
            many => write!(f, "{many} problems in the configuration:")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str) -> SettingProblem {
        SettingProblem { name: name.to_owned(), what: "is not set".to_owned(), instead: "set it".to_owned() }
    }

    #[test]
    fn every_problem_has_its_own_line_below_how_many_there_are() {
        let two = Problems::from_list(vec![problem("A"), problem("B")]).unwrap();
        assert_eq!(
            two.to_string(),
            "2 problems in the configuration:\n  A: is not set; set it\n  B: is not set; set it"
        );
        let one = Problems::from_list(vec![problem("A")]).unwrap();
        assert!(one.to_string().starts_with("1 problem in the configuration:\n"));
        assert!(Problems::from_list(Vec::new()).is_none());
    }
}
