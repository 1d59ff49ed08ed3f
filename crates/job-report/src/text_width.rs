//! Measures and shortens texts of SVG images, which no layout engine keeps apart.
//!
//! The viewer chooses the font, so a width is an upper bound: that of the widest of the usual fonts.

/// A font size, with the factor of its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Font {
    /// The size in pixels.
    pub(crate) size: f64,
    /// How much wider the characters are than those of the regular weight.
    pub(crate) weight_factor: f64,
}

impl Font {
    pub(crate) const fn regular(size: f64) -> Self {
        Self { size, weight_factor: 1.0 }
    }

    pub(crate) const fn bold(size: f64) -> Self {
        Self { size, weight_factor: 1.2 }
    }

    /// Returns the width of a text in pixels, or more.
    pub(crate) fn width(self, text: &str) -> f64 {
        text.chars().map(|c| self.char_width(c)).sum()
    }

    fn char_width(self, c: char) -> f64 {
        self.size * self.weight_factor * advance(c)
    }

    /// Returns the text, or as much of its start as fits into `width`, followed by `…`.
    pub(crate) fn fit_start(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.into();
        }
        let kept: String = self.fitting(text.chars(), width).collect();
        format!("{}…", kept.trim_end())
    }

    /// Returns the text, or `…` followed by as much of its end as fits into `width`. The end of a
    /// name is what differs between the nodes of a pool.
    pub(crate) fn fit_end(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.into();
        }
        let kept: Vec<_> = self.fitting(text.chars().rev(), width).collect();
        let kept: String = kept.into_iter().rev().collect();
        format!("…{}", kept.trim_start())
    }

    /// Returns the first characters that fit into `width`, with space for `…`.
    fn fitting(self, chars: impl Iterator<Item = char>, width: f64) -> impl Iterator<Item = char> {
        let mut rest = width - self.char_width('…');
        chars.take_while(move |c| {
            rest -= self.char_width(*c);
            rest >= 0.0
        })
    }
}

/// Returns the advance width of a character, in units of the font size.
fn advance(c: char) -> f64 {
    let ascii = usize::try_from(u32::from(c)).ok().and_then(|at| at.checked_sub(0x20));
    if let Some(width) = ascii.and_then(|at| ASCII_ADVANCES.get(at)) {
        return f64::from(*width) / 1000.0;
    }
    match c {
        // Ligatures of whole phrases.
        '\u{fdf0}'..='\u{fdff}' => 12.0,
        // Chinese, Japanese and Korean have squares.
        '\u{2e80}'..='\u{ffff}' => 1.05,
        '\u{10000}'.. => 1.5,
        _ => 1.25,
    }
}

/// The widths of the characters from U+0020 to U+007E, in thousandths of the font size: the larger one
/// of DejaVu Sans, which is the widest default font of desktops, and Liberation Sans.
const ASCII_ADVANCES: [u16; 95] = [
    318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 501, 838, 318, 361, 318, 337, 637, 637, 637,
    637, 637, 637, 637, 637, 637, 637, 337, 337, 838, 838, 838, 557, 1016, 685, 687, 723, 771, 667,
    611, 778, 752, 295, 501, 667, 558, 863, 749, 788, 667, 788, 723, 667, 611, 732, 685, 989, 686,
    667, 686, 391, 337, 391, 838, 557, 501, 613, 635, 550, 635, 616, 353, 635, 634, 278, 278, 580,
    278, 975, 634, 612, 635, 635, 412, 521, 393, 634, 592, 818, 592, 592, 525, 637, 337, 637, 838,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_shortened_at_either_end() {
        let font = Font::regular(10.0);
        let rows = [
            ("node-1", 60.0, "node-1", "node-1"),
            ("pool-blue-0000017", 60.0, "pool-blue…", "…0000017"),
            ("节点节点节点节点节点", 60.0, "节点节点…", "…节点节点"),
            ("node", 0.0, "…", "…"),
            ("", 0.0, "", ""),
        ];
        for (text, width, start, end) in rows {
            let shown = (font.fit_start(text, width), font.fit_end(text, width));
            assert_eq!(shown, (start.into(), end.into()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn shortened_texts_fit(text in any::<String>(), width in 20.0..200.0) {
            let font = Font::regular(13.0);
            prop_assert!(font.width(&font.fit_start(&text, width)) <= width);
            prop_assert!(font.width(&font.fit_end(&text, width)) <= width);
        }
    }
}
