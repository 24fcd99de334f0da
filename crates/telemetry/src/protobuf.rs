//! Protocol buffers' wire format, as far as spans need it. What is left out where it is zero or empty, and what is not,
//! is as `prost` does it.

/// The head of a member: its number and its wire type in one byte, which is enough up to number 15.
pub(crate) const fn varint_member(number: u8) -> u8 {
    number << 3
}

pub(crate) const fn fixed64_member(number: u8) -> u8 {
    number << 3 | 1
}

/// Of a text, a message or a list.
pub(crate) const fn bytes_member(number: u8) -> u8 {
    number << 3 | 2
}

/// How many bytes a number takes: seven bits a byte, and one byte for 0.
pub(crate) const fn varint_length(number: u64) -> usize {
    (70 - (number | 1).leading_zeros() as usize) / 7
}

/// The bytes of a member of so many, its head included.
pub(crate) const fn member_length(bytes: usize) -> usize {
    1 + varint_length(bytes as u64) + bytes
}

#[inline]
pub(crate) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// The head of a member of so many bytes.
#[inline]
pub(crate) fn begin(out: &mut Vec<u8>, member: u8, bytes: usize) {
    match u8::try_from(bytes) {
        // One byte of length: by far the most.
        Ok(bytes) if bytes < 0x80 => out.extend_from_slice(&[member, bytes]),
        _ => {
            out.push(member);
            varint(out, bytes as u64);
        }
    }
}

/// Bytes, a text or a message, even if there are none.
#[inline]
pub(crate) fn message(out: &mut Vec<u8>, member: u8, bytes: &[u8]) {
    begin(out, member, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn text(out: &mut Vec<u8>, member: u8, text: &str) {
    if !text.is_empty() {
        message(out, member, text.as_bytes());
    }
}

pub(crate) fn number(out: &mut Vec<u8>, member: u8, number: u64) {
    if number != 0 {
        out.push(member);
        varint(out, number);
    }
}

pub(crate) fn fixed64(out: &mut Vec<u8>, member: u8, number: u64) {
    if number != 0 {
        let mut all = [member; 9];
        all[1..].copy_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&all);
    }
}
