#ifndef POSTHORN_LIB_MIME_SEARCH_WORDS_H_
#define POSTHORN_LIB_MIME_SEARCH_WORDS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace posthorn::mime {

// The words of a text for an index of substrings. A word is a run of letters, digits and marks, as
// ICU knows them; whether a sign belongs to one does not depend on what stands beside it. (Breaks
// that do, as ICU has them for Thai, Chinese and Japanese, would fall otherwise in what is searched
// for than in the text, and a substring would be lost.) Of a run longer than kMaxWord octets there
// are several words, which overlap by more than kMaxNeedleWord. So: every text that contains a
// needle has, for each of NeedleWords(needle), a word that contains it.
inline constexpr std::size_t kMaxWord = 96;
inline constexpr std::size_t kMaxNeedleWord = 40;

class WordSplitter {
 public:
  using Take = std::function<void(std::string_view word)>;
  explicit WordSplitter(Take take) : take_(std::move(take)) {}

  // The next piece of a text in well-formed UTF-8, cut between code points.
  void Feed(std::string_view folded);
  // The text ends.
  void End();

 private:
  void Emit(bool ends);
  const Take take_;
  std::string word_;
};

// What of a folded needle can be looked up, the longest first, at most 8; empty: nothing, every
// text may contain it.
std::vector<std::string> NeedleWords(std::string_view folded_needle);

// Whether a text contains the needle just if one of its words does.
bool IsOneWord(std::string_view folded_needle);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_SEARCH_WORDS_H_
