//! "Did you mean": the known word that is nearest to an unknown one.

/// The nearest of `known`, if it is near enough to be a typing mistake.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (score(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.78)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Typing mistakes keep the beginning (Jaro-Winkler) or swap neighbours (Damerau-Levenshtein): the better of both.
fn score(word: &str, candidate: &str) -> f64 {
    strsim::jaro_winkler(word, candidate).max(strsim::normalized_damerau_levenshtein(word, candidate))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_wins_and_a_far_one_is_not_offered() {
        let known = ["ping", "pingall", "bridge", "netns", "min"];
        assert_eq!(nearest("brige", known), Some("bridge"));
        assert_eq!(nearest("pign", known), Some("ping"));
        assert_eq!(nearest("nets", known), Some("netns"));
        assert_eq!(nearest("frobnicate", known), None);
    }
}
