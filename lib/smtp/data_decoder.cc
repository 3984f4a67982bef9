#include "lib/smtp/data_decoder.h"

#include <algorithm>

#include "lib/smtp/international.h"

namespace posthorn::smtp {

void DataDecoder::Append(std::string_view bytes, std::string& out) {
  octets_ += bytes.size();
  line_ += bytes.size();
  if (!eight_bit_) eight_bit_ = !IsAscii(bytes);
  if (!discard_) out.append(bytes);
}

void DataDecoder::EndLine() {
  longest_line_ = std::max(longest_line_, line_ - std::min<std::uint64_t>(line_, 2));
  line_ = 0;
  state_ = State::kLineStart;
}

void DataDecoder::AppendBare(std::string_view bytes, std::string& out) {
  bare_newline_ = true;
  if (policy_ == BareNewlines::kKeep) return Append(bytes, out);
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find_first_of("\r\n");
    Append(bytes.substr(0, newline), out);
    if (newline == std::string_view::npos) return;
    longest_line_ = std::max(longest_line_, line_);
    Append("\r\n", out);
    line_ = 0;
    bytes.remove_prefix(newline + 1);
  }
}

std::size_t DataDecoder::DecodeInLine(std::string_view input, std::string& out) {
  const std::size_t newline = input.find('\n');
  std::string_view text = input.substr(0, newline);
  const std::size_t cr = text.find('\r');
  if (newline != std::string_view::npos && cr != std::string_view::npos && cr + 1 == newline) {
    Append(input.substr(0, newline + 1), out);
    EndLine();
    return newline + 1;
  }
  // A CR at the end belongs to what follows it, even if another came before.
  const bool ends_in_cr = !text.empty() && text.back() == '\r';
  if (ends_in_cr) text.remove_suffix(1);
  if (text.find('\r') != std::string_view::npos) {
    AppendBare(text, out);
  } else {
    Append(text, out);
  }
  longest_line_ = std::max(longest_line_, line_);
  if (newline == std::string_view::npos) {
    if (ends_in_cr) state_ = State::kCr;
    return input.size();
  }
  if (ends_in_cr) {
    Append("\r\n", out);
    EndLine();
  } else {
    AppendBare("\n", out);  // and no new line as far as dots go
  }
  return newline + 1;
}

void DataDecoder::Finish(std::string& out) {
  if (state_ != State::kCr) return;
  AppendBare("\r", out);
  longest_line_ = std::max(longest_line_, line_);
  state_ = State::kLine;
}

std::size_t DataDecoder::Decode(std::string_view input, std::string& out) {
  std::size_t used = 0;
  while (used < input.size() && state_ != State::kDone) {
    const char c = input[used];
    switch (state_) {
      case State::kLineStart:
        if (c == '.' && framing_ == DataFraming::kDots) {
          state_ = State::kDot;
          ++used;
        } else {
          state_ = State::kLine;
        }
        break;
      case State::kLine:
        used += DecodeInLine(input.substr(used), out);
        break;
      case State::kCr:
        if (c == '\n') {
          Append("\r\n", out);
          EndLine();
          ++used;
        } else {
          AppendBare("\r", out);
          state_ = State::kLine;
        }
        break;
      case State::kDot:
        state_ = c == '\r' ? State::kDotCr : State::kLine;
        if (c == '\r') ++used;
        break;
      case State::kDotCr:
        if (c == '\n') {
          state_ = State::kDone;
          ++used;
        } else {
          AppendBare("\r", out);
          state_ = State::kLine;
        }
        break;
      case State::kDone:
        break;
    }
  }
  return used;
}

}  // namespace posthorn::smtp
