//! How packets are written: version, acknowledgements, the number of items, the items.
//!
//! One packet has one encoding. Numbers are big-endian, lists stand behind their count, bytes behind their length;
//! every count and length is held against its bound before anything is allocated, and bytes after the last item are
//! an error.

use autonomy_codec::{Reader, put_bytes_u16};
use zeroize::Zeroizing;

use super::{
    Acks, CHUNK_LEN, Chunk, HEAD, Item, MAX_DEPOSITED, MAX_ITEMS, MAX_PACKET, MAX_PART, MAX_TRANSFERS,
    MalformedPacket, Numbering, Origin, Packet, PacketTooLong, Part, TransferId,
};
use crate::part::{NUMBERING_BYTES, ORIGIN_BYTES};
use crate::{WINDOW_BYTES, Window};

const VERSION: u8 = 2;
/// Kind of an item: a part of a message.
const PART: u8 = 1;
/// Kind of an item: a chunk of a file.
const CHUNK: u8 = 2;
/// Flag of a part: a message begins.
const FIRST: u8 = 1;
/// Flag of a part: a message ends.
const LAST: u8 = 2;
/// Flag of a part: an origin follows.
const ORIGIN: u8 = 4;

impl Packet {
    /// The canonical bytes, wiped when dropped.
    ///
    /// # Errors
    /// [`PacketTooLong`] if a list or the whole exceeds its bound.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, PacketTooLong> {
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_PACKET));
        out.push(VERSION);
        self.numbering.put(&mut out);
        out.extend_from_slice(&self.acknowledged.to_be_bytes());
        self.acks.write(&mut out)?;
        if self.items.len() > MAX_ITEMS || self.encoded_len() > MAX_PACKET {
            return Err(PacketTooLong);
        }
        out.push(u8::try_from(self.items.len()).map_err(|_| PacketTooLong)?);
        self.items.iter().try_for_each(|item| item.write(&mut out))?;
        Ok(out)
    }

    /// Bytes it would take.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEAD + self.acks.encoded_len() + 1 + self.items.iter().map(Item::encoded_len).sum::<usize>()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else.
    ///
    /// # Errors
    /// [`MalformedPacket`] says whether it is the length, the version or a field. An item of an unknown kind is a
    /// field: packets of another version say so in their first byte.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedPacket> {
        if bytes.len() > MAX_PACKET {
            return Err(MalformedPacket::Length(bytes.len()));
        }
        let (version, rest) = bytes.split_first().ok_or(MalformedPacket::Field)?;
        if *version != VERSION {
            return Err(MalformedPacket::Version(*version));
        }
        let mut reader = Reader::new(rest);
        let packet = Self::read(&mut reader).filter(|_| reader.is_empty());
        packet.ok_or(MalformedPacket::Field)
    }

    /// The fields behind the version.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (numbering, acknowledged) = (Numbering::take(reader)?, reader.u64()?);
        let acks = Acks::read(reader)?;
        let count = reader.u8().filter(|count| usize::from(*count) <= MAX_ITEMS)?;
        let items = (0..count).map(|_| Item::read(reader)).collect::<Option<_>>()?;
        Some(Self { numbering, acknowledged, acks, items })
    }
}

impl Acks {
    /// Bytes they would take.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        NUMBERING_BYTES
            + WINDOW_BYTES
            + 1
            + self.transfers.len() * (16 + WINDOW_BYTES)
            + 1
            + self.deposited.len() * 4
            + 4
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), PacketTooLong> {
        if self.transfers.len() > MAX_TRANSFERS || self.deposited.len() > MAX_DEPOSITED {
            return Err(PacketTooLong);
        }
        self.numbering.put(out);
        out.extend_from_slice(&self.messages.to_bytes());
        out.push(u8::try_from(self.transfers.len()).map_err(|_| PacketTooLong)?);
        for (transfer, window) in &self.transfers {
            out.extend_from_slice(&transfer.0);
            out.extend_from_slice(&window.to_bytes());
        }
        out.push(u8::try_from(self.deposited.len()).map_err(|_| PacketTooLong)?);
        self.deposited.iter().for_each(|count| out.extend_from_slice(&count.to_be_bytes()));
        out.extend_from_slice(&self.card.to_be_bytes());
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let numbering = Numbering::take(reader)?;
        let messages = Window::from_bytes(&reader.array()?)?;
        let count = reader.u8().filter(|count| usize::from(*count) <= MAX_TRANSFERS)?;
        let transfers =
            (0..count).map(|_| Some((TransferId(reader.array()?), Window::from_bytes(&reader.array()?)?)));
        let transfers = transfers.collect::<Option<_>>()?;
        let count = reader.u8().filter(|count| usize::from(*count) <= MAX_DEPOSITED)?;
        let deposited = (0..count).map(|_| reader.u32()).collect::<Option<_>>()?;
        Some(Self { numbering, messages, transfers, deposited, card: reader.u32()? })
    }
}

impl Item {
    /// Bytes it would take.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Part(part) => 1 + 8 + 1 + part.origin.map_or(0, |_| ORIGIN_BYTES) + 2 + part.bytes.len(),
            Self::Chunk(chunk) => 1 + 16 + 4 + 2 + chunk.bytes.len(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), PacketTooLong> {
        match self {
            Self::Part(part) => part.write(out),
            Self::Chunk(chunk) => chunk.write(out),
        }
    }

    /// One item by its kind.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        match reader.u8()? {
            PART => Part::read(reader).map(Self::Part),
            CHUNK => Chunk::read(reader).map(Self::Chunk),
            _ => None,
        }
    }
}

impl Part {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), PacketTooLong> {
        if self.bytes.len() > MAX_PART {
            return Err(PacketTooLong);
        }
        let flag = |set, bit| if set { bit } else { 0 };
        let flags = flag(self.first, FIRST) | flag(self.last, LAST) | flag(self.origin.is_some(), ORIGIN);
        out.push(PART);
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.push(flags);
        if let Some(origin) = self.origin {
            origin.put(out);
        }
        put_bytes_u16(out, &self.bytes);
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let seq = reader.u64()?;
        let flags = reader.u8().filter(|flags| *flags <= FIRST | LAST | ORIGIN)?;
        let origin = match flags & ORIGIN {
            0 => None,
            _ => Some(Origin::take(reader)?),
        };
        let bytes = reader.bytes_u16().filter(|bytes| bytes.len() <= MAX_PART)?.to_vec();
        Some(Self { seq, first: flags & FIRST != 0, last: flags & LAST != 0, origin, bytes })
    }
}

impl Chunk {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), PacketTooLong> {
        if self.bytes.len() > CHUNK_LEN {
            return Err(PacketTooLong);
        }
        out.push(CHUNK);
        out.extend_from_slice(&self.transfer.0);
        out.extend_from_slice(&self.index.to_be_bytes());
        put_bytes_u16(out, &self.bytes);
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let transfer = TransferId(reader.array()?);
        let index = reader.u32()?;
        let bytes = reader.bytes_u16().filter(|bytes| bytes.len() <= CHUNK_LEN)?.to_vec();
        Some(Self { transfer, index, bytes })
    }
}
