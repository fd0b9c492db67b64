//! Seed words as people have them: on paper in numbered rows, as `init` prints them, or in one line.

use autonomy_messaging::AuthSeed;
use autonomy_wallet::keys::Seed;
use zeroize::Zeroizing;

use super::Failure;

/// Words in a row on paper.
const ROW: usize = 6;
/// Words of the identity, and of the payment key unless it was made with fewer.
const LONG: usize = 24;
/// Words of the shorter payment key.
const SHORT: usize = 12;

/// The two lists of words, taken line by line: the payment key first, then the identity.
///
/// Numbers before words (`7`, `7.`, `7)`), lines that end with a colon, capitals and blanks of any kind mean nothing, so
/// that the rows which `init` prints can be pasted as they are.
#[derive(Default)]
pub(super) struct Typed {
    words: Vec<Zeroizing<String>>,
    /// Whether the payment key ended at 12 words.
    short: bool,
}

impl Typed {
    /// Takes a line. Says whether both lists are complete.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let line = line.trim();
        if line.is_empty() || line.ends_with(':') {
            return self.pause();
        }
        for token in line.split_whitespace() {
            if self.words.len() == SHORT && number(token) == Some(1) {
                self.short = true;
            }
            let word =
                token.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(['.', ')', ':']);
            if !word.is_empty() {
                self.words.push(Zeroizing::new(word.to_lowercase()));
            }
        }
        self.words.len() >= LONG + LONG || self.short && self.words.len() >= SHORT + LONG
    }

    /// An empty line, or a heading: after 12 words it ends the payment key, after 36 the identity.
    fn pause(&mut self) -> bool {
        self.short |= self.words.len() == SHORT;
        self.words.len() >= SHORT + LONG
    }

    /// Both seeds.
    ///
    /// # Errors
    /// A list has another number of words, or a word is wrong; the failure names the list and the word's number.
    pub(super) fn seeds(&self) -> Result<(Seed, AuthSeed), Failure> {
        let first = match self.words.len() {
            36 => SHORT,
            48 => LONG,
            count => {
                return Err(Failure::usage(format!(
                    "{count} words were given: the payment key has 12 or 24, the identity has 24"
                ))
                .help("give the payment key first, then the identity, and end with an empty line"));
            }
        };
        let (payment, identity) = self.words.split_at(first);
        let payment = seed(payment, "the payment key")?;
        let identity = seed(identity, "the identity")?;
        let bytes = identity.entropy().try_into().map_err(|_| Failure::usage("the identity has 24 words"))?;
        Ok((payment, AuthSeed::from_bytes(bytes)))
    }
}

/// The number that a token begins with: `7`, `7.`, `7)`.
fn number(token: &str) -> Option<u32> {
    token.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

/// The seed of a list; `whose` names it in the failure.
fn seed(words: &[Zeroizing<String>], whose: &str) -> Result<Seed, Failure> {
    let line = Zeroizing::new(words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
    Seed::from_words(&line).map_err(|error| Failure::usage(format!("{whose}: {error}")))
}

/// The identity as words: 32 bytes are 24 of them.
pub(super) fn of_identity(auth: &AuthSeed) -> Result<Zeroizing<String>, Failure> {
    Seed::from_entropy(auth.as_bytes())
        .map(|seed| seed.words())
        .map_err(|error| Failure::other("words", error))
}

/// Words in rows of six with their numbers, to be copied onto paper.
pub(super) fn numbered(words: &str) -> Zeroizing<String> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut text = Zeroizing::new(String::with_capacity(words.len() * 16));
    for (row, chunk) in words.chunks(ROW).enumerate() {
        for (column, word) in chunk.iter().enumerate() {
            // BIP-39 words have 8 letters at most.
            let width = if column + 1 < chunk.len() { 8 } else { 0 };
            text.push_str(&format!("{:>4} {word:<width$}", row * ROW + column + 1));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(payment_bytes: usize) -> (Seed, AuthSeed) {
        let payment = Seed::from_entropy(&[7; 32][..payment_bytes]).unwrap();
        (payment, AuthSeed::from_bytes(&[9; 32]))
    }

    /// What comes of a text, taken line by line.
    fn read(text: &str) -> Result<(Seed, AuthSeed), Failure> {
        let mut typed = Typed::default();
        let _ = text.lines().any(|line| typed.take(line));
        typed.seeds()
    }

    #[test]
    fn words_are_printed_in_numbered_rows() {
        let rows = "   1 a          2 b          3 c          4 d          5 e          6 f\n   7 g\n";
        assert_eq!(numbered("a b c d e f g").as_str(), rows);
    }

    #[test]
    fn words_read_in_every_form_that_paper_and_programs_give() {
        for bytes in [16, 32] {
            let (payment, auth) = keys(bytes);
            let (p, i) = (payment.words(), of_identity(&auth).unwrap());
            let rows = format!("payment key:\n{}\nidentity:\n{}", *numbered(&p), *numbered(&i));
            let one_a_line = format!("{}\n\n{}\n\n", p.replace(' ', "\n"), i.replace(' ', "\n"));
            let dotted = |words: &str| {
                let words = words.split(' ').enumerate().map(|(at, word)| format!("{}. {word}", at + 1));
                words.collect::<Vec<_>>().join("\n")
            };
            let forms = [
                format!("{}\n{}\n", *p, *i),
                format!("{} {}\n\n", *p, *i),
                rows.replace('\n', "\r\n"),
                rows.to_uppercase().replace("PAYMENT KEY:", "").replace(' ', "\t"),
                rows.replace(' ', "\u{3000}").replace("1\u{3000}", "1)\u{a0}"),
                one_a_line,
                format!("{}\n{}\n", dotted(&p), dotted(&i)),
                rows,
            ];
            for text in forms {
                let (read_payment, read_auth) =
                    read(&text).unwrap_or_else(|failure| panic!("{text}: {failure:?}"));
                assert_eq!((&read_payment, read_auth.as_bytes()), (&payment, auth.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn wrong_words_are_named_by_list_and_place_and_not_shown() {
        let (payment, auth) = keys(32);
        let (p, i) = (payment.words(), of_identity(&auth).unwrap());
        let third = i.split(' ').nth(2).unwrap();
        let detail = |text: &str| read(text).unwrap_err().detail;
        let wrong = detail(&format!("{}\n{}", *p, i.replacen(third, "zebrax", 1)));
        assert!(
            wrong.starts_with("the identity: ") && wrong.contains('3') && !wrong.contains("zebrax"),
            "{wrong}"
        );
        assert!(detail(&p).starts_with("24 words were given"), "{}", detail(&p));
        assert!(detail("").starts_with("0 words"));
    }

    #[test]
    fn reading_ends_with_the_last_word() {
        let (payment, auth) = keys(16);
        let rows = format!("{}\n{}", *numbered(&payment.words()), *numbered(&of_identity(&auth).unwrap()));
        let mut typed = Typed::default();
        let taken = rows.lines().take_while(|line| !typed.take(line)).count();
        assert_eq!(taken + 1, rows.lines().count(), "nothing is left for whoever reads next");
    }
}
