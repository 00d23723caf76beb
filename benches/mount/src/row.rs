//! What is measured, as data: a row of the table has a cell for each program, and a cell has numbers or the reason why not.

/// The columns of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The files themselves.
    Native,
    /// The least that FUSE can do.
    Floor,
    /// The musefs of this project.
    Ours,
    /// The program to compare with.
    Theirs,
}

/// All columns, in their order.
pub const COLUMNS: [Column; 4] = [Column::Native, Column::Floor, Column::Ours, Column::Theirs];

impl Column {
    /// The heading.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Floor => "floor",
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }
}

/// What the numbers of a row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    GigabytesPerSecond,
    PerSecond,
    Seconds,
    Milliseconds,
    Microseconds,
    Mebibytes,
    Ratio,
}

impl Unit {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::GigabytesPerSecond => "GB/s",
            Self::PerSecond => "/s",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::Mebibytes => "MiB",
            Self::Ratio => "×",
        }
    }

    /// Whether more of it is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::GigabytesPerSecond | Self::PerSecond)
    }
}

/// What one program did.
#[derive(Debug, Clone)]
pub enum Cell {
    /// One number for each time.
    Samples(Vec<f64>),
    /// Why there are none.
    Reason(String),
}

impl Cell {
    /// Nothing that this program does.
    pub fn none() -> Self {
        Self::Reason("—".into())
    }

    /// The numbers, or what went wrong.
    pub fn of(samples: anyhow::Result<Vec<f64>>) -> Self {
        match samples {
            Ok(samples) if samples.is_empty() => Self::none(),
            Ok(samples) => Self::Samples(samples),
            Err(error) => Self::Reason(format!("{error:#}")),
        }
    }

    /// Least, middle and greatest; of an even count the lower middle.
    pub fn spread(&self) -> Option<[f64; 3]> {
        let Self::Samples(samples) = self else {
            return None;
        };
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.get(sorted.len().checked_sub(1)? / 2)?;
        Some([*sorted.first()?, *middle, *sorted.last()?])
    }

    /// The middle one.
    pub fn median(&self) -> Option<f64> {
        self.spread().map(|[_, median, _]| median)
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What `--rows` selects.
    pub id: &'static str,
    /// What is done.
    pub what: String,
    /// What the numbers are.
    pub unit: Unit,
    /// In the order of [`COLUMNS`].
    pub cells: [Cell; 4],
    /// What a reader should know of this run.
    pub note: String,
}

impl Row {
    /// A row whose cells are still empty.
    pub fn new(id: &'static str, what: impl Into<String>, unit: Unit) -> Self {
        Self {
            id,
            what: what.into(),
            unit,
            cells: [const { Cell::Reason(String::new()) }; 4].map(|_| Cell::none()),
            note: String::new(),
        }
    }

    /// The cell of a column.
    pub fn cell(&self, column: Column) -> &Cell {
        &self.cells[column as usize]
    }

    /// Fills the cell of a column.
    pub fn set(&mut self, column: Column, cell: Cell) {
        self.cells[column as usize] = cell;
    }

    /// Ours divided by that of another column.
    pub fn ratio_to(&self, column: Column) -> Option<f64> {
        let other = self.cell(column).median().filter(|median| *median > 0.0)?;
        Some(self.cell(Column::Ours).median()? / other)
    }

    /// Whether somebody can say why there is no number of ours.
    pub fn is_explained(&self) -> bool {
        match self.cell(Column::Ours) {
            Cell::Samples(samples) => {
                !samples.is_empty() && samples.iter().all(|sample| sample.is_finite())
            }
            Cell::Reason(reason) => reason.chars().count() > 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_sorted() {
        let cell = Cell::Samples(vec![5.0, 1.0, 3.0]);
        assert_eq!(cell.spread(), Some([1.0, 3.0, 5.0]));
        assert_eq!(Cell::none().spread(), None);
    }

    #[test]
    fn a_row_without_a_number_and_without_a_reason_is_not_explained() {
        let mut row = Row::new("walk", "walk", Unit::Seconds);
        assert!(!row.is_explained());
        row.set(Column::Ours, Cell::Reason("needs root".into()));
        assert!(row.is_explained());
        row.set(Column::Ours, Cell::Samples(vec![2.0]));
        row.set(Column::Floor, Cell::Samples(vec![4.0]));
        assert!(row.is_explained());
        assert_eq!(row.ratio_to(Column::Floor), Some(0.5));
    }
}
