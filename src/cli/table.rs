//! Tables on a terminal.

use std::fmt::Write as _;

/// Columns as wide as their widest cell; numbers to the right.
pub struct Table {
    pub rows: Vec<Vec<String>>,
    pub right: &'static [usize],
}

impl Table {
    /// As lines.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let _ = if self.right.contains(&column) {
                    write!(line, "{cell:>width$}  ")
                } else {
                    write!(line, "{cell:<width$}  ")
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A length of time for people.
pub fn seconds(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 172_800.0 => format!("{:.0}d", value / 86_400.0),
        Some(value) if value >= 7_200.0 => format!("{:.0}h", value / 3_600.0),
        Some(value) if value >= 120.0 => format!("{:.0}min", value / 60.0),
        Some(value) if value >= 1.0 => format!("{value:.1}s"),
        Some(value) if value >= 1e-3 => format!("{:.1}ms", value * 1e3),
        Some(value) => format!("{:.0}us", value * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_short() {
        let texts = [0.000_012, 0.0123, 1.5, 90.0, 600.0, 7_200.0, 900_000.0];
        let texts = texts.map(|value| seconds(Some(value)));
        assert_eq!(texts, ["12us", "12.3ms", "1.5s", "90.0s", "10min", "2h", "10d"]);
        assert_eq!(seconds(None), "-");
    }
}
