//! Archives to the byte, also such as no tar would write.

/// An archive in the making.
#[derive(Clone, Default)]
pub struct Raw(
    /// The bytes so far.
    pub Vec<u8>,
);

/// A header with its checksum.
pub fn header(kind: u8, name: &[u8], target: &[u8], size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name[..name.len().min(100)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(156, &[kind]);
    put(157, &target[..target.len().min(100)]);
    put(257, b"ustar\x0000");
    sum(&mut block);
    block
}

/// Sets the checksum right after a change.
pub fn sum(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

impl Raw {
    /// Adds a block as it is.
    #[must_use]
    pub fn block(mut self, block: &[u8; 512]) -> Self {
        self.0.extend(block);
        self
    }

    /// A header, changed as one likes.
    #[must_use]
    pub fn changed(self, kind: u8, name: &[u8], change: impl FnOnce(&mut [u8; 512])) -> Self {
        let mut block = header(kind, name, b"", 0);
        change(&mut block);
        sum(&mut block);
        self.block(&block)
    }

    /// Adds an entry with content.
    #[must_use]
    pub fn entry(self, kind: u8, name: &[u8], target: &[u8], content: &[u8]) -> Self {
        let mut this = self.block(&header(kind, name, target, content.len() as u64));
        this.0.extend(content);
        this.0.resize(this.0.len().next_multiple_of(512), 0);
        this
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, name: &[u8], content: &[u8]) -> Self {
        self.entry(b'0', name, b"", content)
    }

    /// Adds a directory.
    #[must_use]
    pub fn directory(self, name: &[u8]) -> Self {
        self.changed(b'5', name, |block| block[100..107].copy_from_slice(b"0000755"))
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, name: &[u8], target: &[u8]) -> Self {
        self.entry(b'2', name, target, b"")
    }

    /// Extended headers of POSIX.
    #[must_use]
    pub fn extended(self, records: &[(&str, &[u8])]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (1..5)
                .find(|digits| (rest + digits).to_string().len() == *digits)
                .expect("it is short")
                + rest;
            body.extend([format!("{length} {key}=").as_bytes(), value, b"\n"].concat());
        }
        self.entry(b'x', b"PaxHeaders/x", b"", &body)
    }

    /// GNU's long name.
    #[must_use]
    pub fn long_name(self, name: &[u8]) -> Self {
        self.entry(b'L', b"././@LongLink", b"", &[name, b"\0"].concat())
    }

    /// Adds the end, and gives the archive.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}
