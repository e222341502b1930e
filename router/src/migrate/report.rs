//! What was moved, as a table for people.

use std::fmt;

use super::Digest;

/// One table.
#[derive(Debug, Clone, Copy)]
pub struct Moved {
    pub table: &'static str,
    /// Of the rows in the new database, found equal to that of the old one.
    pub digest: Digest,
}

#[derive(Debug, Default)]
pub struct Report {
    pub moved: Vec<Moved>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:>12}  checksum, the same in both", "table", "rows")?;
        for Moved { table, digest } in &self.moved {
            writeln!(f, "{table:<16} {:>12}  {digest}", digest.rows)?;
        }
        let rows: u64 = self.moved.iter().map(|moved| moved.digest.rows).sum();
        writeln!(f, "{:<16} {rows:>12}", "in all")
    }
}
