//! Columns as the wire has them, and as a model wants them.

use crate::{Datatype, Element, Field, Number, Result};

/// One column of a frame: its bytes, and a mark per row where it has nulls.
#[derive(Clone, Copy)]
struct Column<'a> {
    data: &'a [u8],
    nulls: &'a [u8],
}

/// The rows that a model is asked about; columns are read by name.
///
/// A tensor of shape `[3]` has three elements per row, row after row. The place of a null holds zero, or an empty text.
pub struct Inputs<'a> {
    rows: usize,
    fields: &'a [Field],
    columns: Vec<Column<'a>>,
}

impl<'a> Inputs<'a> {
    /// The table that `bytes` hold: what follows the lead of a PREDICT frame.
    pub(crate) fn read(fields: &'a [Field], bytes: &'a [u8]) -> Result<Self> {
        let mut rest = bytes;
        let rows = u32::from_le_bytes(array(&mut rest)?) as usize;
        let count = u32::from_le_bytes(array(&mut rest)?) as usize;
        if count != fields.len() {
            let wanted = fields.len();
            return Err(format!("the table has {count} columns, the contract {wanted}").into());
        }
        let mut lengths = Vec::with_capacity(count);
        for _ in 0..count {
            let data = u64::from_le_bytes(array(&mut rest)?);
            lengths.push((data, u64::from_le_bytes(array(&mut rest)?)));
        }
        let mut columns = Vec::with_capacity(count);
        for (field, (data, nulls)) in fields.iter().zip(lengths) {
            let column = Column {
                data: part(&mut rest, data)?,
                nulls: part(&mut rest, nulls)?,
            };
            check(field, rows, column)?;
            columns.push(column);
        }
        Ok(Inputs {
            rows,
            fields,
            columns,
        })
    }

    /// How many rows; may be 0.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What the columns are, in the order of the contract.
    pub fn fields(&self) -> &'a [Field] {
        self.fields
    }

    /// A column in its own datatype, bit for bit: `inputs.values::<i64>("tenure")?`.
    ///
    /// # Errors
    /// There is no such input, or it has another datatype.
    pub fn values<T: Number>(&self, name: &str) -> Result<Vec<T>> {
        let (field, column) = self.find(name)?;
        must_be(field, T::DATATYPE)?;
        Ok(column.data.chunks_exact(T::WIDTH).map(T::read).collect())
    }

    /// A scalar column of its own datatype, with `None` for null.
    ///
    /// # Errors
    /// There is no such input, or it has another datatype or a shape.
    pub fn options<T: Number>(&self, name: &str) -> Result<Vec<Option<T>>> {
        let (field, _) = self.find(name)?;
        if !field.shape.is_empty() {
            return Err(format!("input {name:?} is a tensor: use values and nulls").into());
        }
        let values = self.values::<T>(name)?.into_iter();
        let nulls = self.nulls(name)?.into_iter();
        Ok(values
            .zip(nulls)
            .map(|(v, null)| (!null).then_some(v))
            .collect())
    }

    /// A column of any numbers or booleans as `f64`, NaN for null: what most models compute with.
    ///
    /// Integers beyond 2^53 are rounded; [`values`](Self::values) keeps them.
    ///
    /// # Errors
    /// There is no such input, or it is text.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let (field, column) = self.find(name)?;
        let to_f64 = field
            .datatype
            .to_f64()
            .ok_or_else(|| format!("input {name:?} is text: use texts"))?;
        let chunks = column.data.chunks_exact(field.datatype.width());
        let mut found: Vec<f64> = chunks.map(to_f64).collect();
        let rows = found.chunks_exact_mut(field.elements().max(1));
        for (row, &null) in rows.zip(column.nulls) {
            if null != 0 {
                row.fill(f64::NAN);
            }
        }
        Ok(found)
    }

    /// A column of text; empty for null.
    ///
    /// # Errors
    /// There is no such input, or it is no text.
    pub fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        let (field, column) = self.find(name)?;
        must_be(field, Datatype::Bytes)?;
        let mut found = Vec::with_capacity(self.rows * field.elements());
        let mut rest = column.data;
        while !rest.is_empty() {
            let length = u32::from_le_bytes(array(&mut rest)?) as usize;
            found.push(std::str::from_utf8(take(&mut rest, length)?)?);
        }
        if found.len() != self.rows * field.elements() {
            return Err(format!("input {name:?} has {} texts", found.len()).into());
        }
        Ok(found)
    }

    /// For each row, whether it is null.
    ///
    /// # Errors
    /// There is no such input.
    pub fn nulls(&self, name: &str) -> Result<Vec<bool>> {
        let (_, column) = self.find(name)?;
        if column.nulls.is_empty() {
            return Ok(vec![false; self.rows]);
        }
        Ok(column.nulls.iter().map(|&mark| mark != 0).collect())
    }

    fn find(&self, name: &str) -> Result<(&'a Field, Column<'a>)> {
        let at = place(self.fields, name, "input")?;
        Ok((&self.fields[at], self.columns[at]))
    }
}

/// The answers, to be put in by name; every output of the contract has to be there at the end.
pub struct Outputs<'a> {
    rows: usize,
    fields: &'a [Field],
    columns: Vec<Option<(Vec<u8>, Vec<u8>)>>,
}

impl<'a> Outputs<'a> {
    pub(crate) fn new(fields: &'a [Field], rows: usize) -> Self {
        let columns = vec![None; fields.len()];
        Outputs {
            rows,
            fields,
            columns,
        }
    }

    /// What has to be answered, in the order of the contract.
    pub fn fields(&self) -> &'a [Field] {
        self.fields
    }

    /// Answer one output: numbers, booleans or texts, row after row.
    ///
    /// # Errors
    /// There is no such output, it has another datatype, or the number of values is not rows × elements.
    pub fn put<T: Element>(&mut self, name: &str, values: &[T]) -> Result<()> {
        self.put_with_nulls(name, values, &[])
    }

    /// Answer one scalar output, where `None` is null.
    ///
    /// # Errors
    /// As [`put`](Self::put), and where a value is `None` and the output is not nullable.
    pub fn put_options<T: Element + Clone + Default>(
        &mut self,
        name: &str,
        values: &[Option<T>],
    ) -> Result<()> {
        let nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
        let values: Vec<T> = values
            .iter()
            .map(|v| v.clone().unwrap_or_default())
            .collect();
        self.put_with_nulls(name, &values, &nulls)
    }

    /// Answer one output with a mark for each row that is null; what `values` hold there is not sent.
    ///
    /// # Errors
    /// As [`put`](Self::put), and where a row is null and the output is not nullable.
    pub fn put_with_nulls<T: Element>(
        &mut self,
        name: &str,
        values: &[T],
        nulls: &[bool],
    ) -> Result<()> {
        let at = place(self.fields, name, "output")?;
        let field = &self.fields[at];
        must_be(field, T::DATATYPE)?;
        let elements = field.elements();
        if values.len() != self.rows * elements {
            let (given, wanted) = (values.len(), self.rows * elements);
            return Err(format!("output {name:?} has {given} values instead of {wanted}").into());
        }
        if !nulls.is_empty() && nulls.len() != self.rows {
            return Err(format!("output {name:?} has {} null marks", nulls.len()).into());
        }
        let has_nulls = nulls.contains(&true);
        if has_nulls && !field.nullable {
            return Err(format!("output {name:?} is null and is not nullable").into());
        }
        let mut data = Vec::with_capacity(values.len() * T::NULL.len());
        for (place, value) in values.iter().enumerate() {
            if has_nulls && nulls[place / elements] {
                data.extend_from_slice(T::NULL);
            } else {
                value.write(&mut data)?;
            }
        }
        let marks = match has_nulls {
            true => nulls.iter().map(|&null| u8::from(null)).collect(),
            false => Vec::new(),
        };
        self.columns[at] = Some((data, marks));
        Ok(())
    }

    /// Append the table to a frame.
    pub(crate) fn write(&self, frame: &mut Vec<u8>) -> Result<()> {
        frame.extend((self.rows as u32).to_le_bytes());
        frame.extend((self.columns.len() as u32).to_le_bytes());
        for (column, field) in self.columns.iter().zip(self.fields) {
            let (data, nulls) = column
                .as_ref()
                .ok_or_else(|| format!("the model gave no output {:?}", field.name))?;
            frame.extend((data.len() as u64).to_le_bytes());
            frame.extend((nulls.len() as u64).to_le_bytes());
        }
        for (data, nulls) in self.columns.iter().flatten() {
            for bytes in [data, nulls] {
                frame.extend_from_slice(bytes);
                frame.extend(std::iter::repeat(0).take(padding(bytes.len())));
            }
        }
        Ok(())
    }
}

/// Bytes up to the next multiple of 8.
pub(crate) fn padding(length: usize) -> usize {
    length.wrapping_neg() & 7
}

fn place(fields: &[Field], name: &str, what: &str) -> Result<usize> {
    let found = fields.iter().position(|field| field.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        format!(
            "there is no {what} {name:?}, there are {}",
            names.join(", ")
        )
        .into()
    })
}

fn must_be(field: &Field, wanted: Datatype) -> Result<()> {
    if field.datatype == wanted {
        return Ok(());
    }
    let (name, has) = (&field.name, field.datatype);
    Err(format!("field {name:?} is {has:?}, not {wanted:?}").into())
}

fn check(field: &Field, rows: usize, column: Column<'_>) -> Result<()> {
    let wanted = rows * field.elements() * field.datatype.width();
    let fits = field.datatype == Datatype::Bytes || column.data.len() == wanted;
    if fits && (column.nulls.is_empty() || column.nulls.len() == rows) {
        return Ok(());
    }
    let (name, data, nulls) = (&field.name, column.data.len(), column.nulls.len());
    Err(format!("field {name:?} has {data} bytes and {nulls} marks for {rows} rows").into())
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    if length > rest.len() {
        return Err("the table is cut off".into());
    }
    let (taken, left) = rest.split_at(length);
    *rest = left;
    Ok(taken)
}

fn part<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let length = usize::try_from(length)?;
    let taken = take(rest, length)?;
    take(rest, padding(length))?;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    Ok(take(rest, N)?.try_into().expect("as many bytes were taken"))
}
