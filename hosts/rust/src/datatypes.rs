//! The thirteen datatypes of a contract and their Rust types.

use crate::json::Value;
use crate::Result;

/// The datatype of a field, as the Open Inference Protocol V2 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    /// The datatype of that name: `FP64`, `INT64`, `BYTES`.
    pub fn named(name: &str) -> Option<Datatype> {
        use Datatype::*;
        Some(match name {
            "BOOL" => Bool,
            "UINT8" => Uint8,
            "UINT16" => Uint16,
            "UINT32" => Uint32,
            "UINT64" => Uint64,
            "INT8" => Int8,
            "INT16" => Int16,
            "INT32" => Int32,
            "INT64" => Int64,
            "FP16" => Fp16,
            "FP32" => Fp32,
            "FP64" => Fp64,
            "BYTES" => Bytes,
            _ => return None,
        })
    }

    /// Bytes of one element; 0 for text, whose elements vary.
    pub fn width(self) -> usize {
        use Datatype::*;
        match self {
            Bool | Uint8 | Int8 => 1,
            Uint16 | Int16 | Fp16 => 2,
            Uint32 | Int32 | Fp32 => 4,
            Uint64 | Int64 | Fp64 => 8,
            Bytes => 0,
        }
    }

    /// What makes an `f64` of an element's bytes; `None` for text.
    pub(crate) fn to_f64(self) -> Option<fn(&[u8]) -> f64> {
        use Datatype::*;
        Some(match self {
            Bool => |bytes| f64::from(u8::from(bool::read(bytes))),
            Uint8 => |bytes| f64::from(u8::read(bytes)),
            Uint16 => |bytes| f64::from(u16::read(bytes)),
            Uint32 => |bytes| f64::from(u32::read(bytes)),
            Uint64 => |bytes| u64::read(bytes) as f64,
            Int8 => |bytes| f64::from(i8::read(bytes)),
            Int16 => |bytes| f64::from(i16::read(bytes)),
            Int32 => |bytes| f64::from(i32::read(bytes)),
            Int64 => |bytes| i64::read(bytes) as f64,
            Fp16 => |bytes| Half::read(bytes).to_f64(),
            Fp32 => |bytes| f64::from(f32::read(bytes)),
            Fp64 => f64::read,
            Bytes => return None,
        })
    }
}

/// One input or output of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What its elements are.
    pub datatype: Datatype,
    /// Of one row; empty for a scalar.
    pub shape: Vec<usize>,
    /// Whether a row may be null.
    pub nullable: bool,
}

impl Field {
    /// Elements of one row: 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The field that a load document describes.
    pub(crate) fn read(document: &Value) -> Result<Field> {
        let lacking = |key: &str| format!("a field of the load document lacks {key:?}");
        let text = |key| document.get(key).and_then(Value::text);
        let datatype = text("datatype").ok_or_else(|| lacking("datatype"))?;
        let shape = document.get("shape").and_then(Value::list).unwrap_or(&[]);
        Ok(Field {
            name: text("name").ok_or_else(|| lacking("name"))?.to_string(),
            datatype: Datatype::named(datatype)
                .ok_or_else(|| format!("this helper does not know the datatype {datatype:?}"))?,
            shape: shape
                .iter()
                .map(|extent| extent.count().ok_or_else(|| lacking("shape")))
                .collect::<std::result::Result<_, _>>()?,
            nullable: document.get("nullable").and_then(Value::bool) == Some(true),
        })
    }
}

/// What can be put into an output: numbers, `bool`, [`Half`], `String` and `&str`.
pub trait Element {
    /// The datatype of an output that takes it.
    const DATATYPE: Datatype;
    /// The bytes in the place of a null.
    const NULL: &'static [u8];
    /// Append its bytes.
    ///
    /// # Errors
    /// A text of 4 GiB or more.
    fn write(&self, out: &mut Vec<u8>) -> Result<()>;
}

/// What an input can be read as: numbers, `bool` and [`Half`].
pub trait Number: Element + Copy {
    /// Bytes of one element.
    const WIDTH: usize;
    /// The element that `WIDTH` bytes hold.
    fn read(bytes: &[u8]) -> Self;
}

/// A number of 16 bits (FP16), for which stable Rust has no type: its bits, kept as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Half(pub u16);

impl Half {
    /// Its value; every half is an `f64` exactly.
    pub fn to_f64(self) -> f64 {
        let (exponent, fraction) = (i32::from(self.0 >> 10 & 31), f64::from(self.0 & 1023));
        let size = match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
        };
        if self.0 >> 15 == 1 {
            -size
        } else {
            size
        }
    }
}

macro_rules! numbers {
    ($($kind:ty, $datatype:ident;)*) => {$(
        impl Element for $kind {
            const DATATYPE: Datatype = Datatype::$datatype;
            const NULL: &'static [u8] = &[0; std::mem::size_of::<$kind>()];
            fn write(&self, out: &mut Vec<u8>) -> Result<()> {
                out.extend_from_slice(&self.to_le_bytes());
                Ok(())
            }
        }
        impl Number for $kind {
            const WIDTH: usize = std::mem::size_of::<$kind>();
            fn read(bytes: &[u8]) -> Self {
                <$kind>::from_le_bytes(bytes.try_into().expect("a chunk of this width"))
            }
        }
    )*};
}

numbers! {
    u8, Uint8; u16, Uint16; u32, Uint32; u64, Uint64;
    i8, Int8; i16, Int16; i32, Int32; i64, Int64;
    f32, Fp32; f64, Fp64;
}

impl Element for bool {
    const DATATYPE: Datatype = Datatype::Bool;
    const NULL: &'static [u8] = &[0];
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        out.push(u8::from(*self));
        Ok(())
    }
}

impl Number for bool {
    const WIDTH: usize = 1;
    fn read(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
}

impl Element for Half {
    const DATATYPE: Datatype = Datatype::Fp16;
    const NULL: &'static [u8] = &[0; 2];
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        self.0.write(out)
    }
}

impl Number for Half {
    const WIDTH: usize = 2;
    fn read(bytes: &[u8]) -> Self {
        Half(u16::read(bytes))
    }
}

impl Element for &str {
    const DATATYPE: Datatype = Datatype::Bytes;
    const NULL: &'static [u8] = &[0; 4];
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        u32::try_from(self.len())?.write(out)?;
        out.extend_from_slice(self.as_bytes());
        Ok(())
    }
}

impl Element for String {
    const DATATYPE: Datatype = Datatype::Bytes;
    const NULL: &'static [u8] = <&str>::NULL;
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        self.as_str().write(out)
    }
}
