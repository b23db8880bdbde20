//! The auditor's own JSON parser, which rejects everything the contract forbids. Numbers stay text.

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool,
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Returns a field that is present and not null.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else {
            return None;
        };
        let found = fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value);
        found.filter(|value| **value != Self::Null)
    }
}

/// Deepest nesting of objects and lists.
const DEPTH: usize = 32;

/// Parses a document; None when it is not JSON or breaks the contract's rules for free JSON.
pub(super) fn parse(document: &[u8]) -> Option<Json> {
    let text = std::str::from_utf8(document).ok()?;
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.skip_space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn next(&mut self) -> Option<char> {
        let first = self.rest.chars().next()?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    /// Consumes `expected` when it comes next, after any white space.
    fn take(&mut self, expected: &str) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if self.take("{") {
            self.object(depth + 1)
        } else if self.take("[") {
            self.list(depth + 1)
        } else if self.take("\"") {
            self.text().map(Json::Text)
        } else if self.take("null") {
            Some(Json::Null)
        } else if self.take("true") || self.take("false") {
            Some(Json::Bool)
        } else {
            self.number()
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH {
            return None;
        }
        let mut fields: Vec<(String, Json)> = Vec::new();
        if self.take("}") {
            return Some(Json::Object(fields));
        }

        loop {
            if !self.take("\"") {
                return None;
            }
            let key = self.text()?;
            if key.starts_with("$serde_json")
                || fields.iter().any(|(known, _)| *known == key)
                || !self.take(":")
            {
                return None;
            }
            fields.push((key, self.value(depth)?));
            if self.take("}") {
                return Some(Json::Object(fields));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH {
            return None;
        }
        let mut items = Vec::new();
        if self.take("]") {
            return Some(Json::List(items));
        }

        loop {
            items.push(self.value(depth)?);
            if self.take("]") {
                return Some(Json::List(items));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn number(&mut self) -> Option<Json> {
        let length = self
            .rest
            .find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let (number, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        self.rest = rest;
        super::decimal::parse(number)?;
        Some(Json::Number(number.to_owned()))
    }

    /// Parses a string after its opening quote.
    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                control if control < ' ' => return None,
                other => text.push(other),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            plain @ ('"' | '\\' | '/') => plain,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.hex()?;
                let unit = if (0xd800..0xdc00).contains(&first) {
                    let second =
                        (self.next()? == '\\' && self.next()? == 'u').then(|| self.hex())??;
                    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    0x10000 + ((first - 0xd800) << 10) + low
                } else {
                    first
                };
                char::from_u32(unit).filter(|c| *c != '\0')?
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit * 16 + self.next()?.to_digit(16)?;
        }
        Some(unit)
    }
}
