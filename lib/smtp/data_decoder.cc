#include "lib/smtp/data_decoder.h"

#include <algorithm>
#include <cstring>

namespace posthorn::smtp {
namespace {

bool HasEightBit(std::string_view bytes) {
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    if ((word & 0x8080808080808080ULL) != 0) return true;
  }
  for (; i < bytes.size(); ++i) {
    if ((static_cast<unsigned char>(bytes[i]) & 0x80) != 0) return true;
  }
  return false;
}

}  // namespace

void DataDecoder::Append(std::string_view bytes, std::string& out) {
  octets_ += bytes.size();
  line_ += bytes.size();
  if (!eight_bit_) eight_bit_ = HasEightBit(bytes);
  if (!discard_) out.append(bytes);
}

void DataDecoder::EndLine() {
  longest_line_ = std::max(longest_line_, line_ - std::min<std::uint64_t>(line_, 2));
  line_ = 0;
  state_ = State::kLineStart;
}

std::size_t DataDecoder::DecodeInLine(std::string_view input, std::string& out) {
  const std::size_t newline = input.find('\n');
  const std::string_view line = input.substr(0, newline);
  const std::size_t cr = line.find('\r');
  if (newline == std::string_view::npos) {
    if (cr != std::string_view::npos && cr + 1 == line.size()) {
      // The CR itself is appended with what follows it.
      Append(line.substr(0, cr), out);
      longest_line_ = std::max(longest_line_, line_);
      state_ = State::kCr;
      return input.size();
    }
    if (cr != std::string_view::npos) bare_newline_ = true;
    Append(line, out);
    longest_line_ = std::max(longest_line_, line_);
    // A CR that ends the input may begin a CRLF even if another came before.
    if (!line.empty() && line.back() == '\r') {
      octets_ -= 1;
      line_ -= 1;
      if (!discard_) out.pop_back();
      state_ = State::kCr;
    }
    return input.size();
  }
  Append(input.substr(0, newline + 1), out);
  if (cr != std::string_view::npos && cr + 1 == line.size()) {
    EndLine();
    return newline + 1;
  }
  bare_newline_ = true;
  // "\r...\r\n": the first CR was bare, yet the line ends properly.
  if (!line.empty() && line.back() == '\r') EndLine();
  return newline + 1;
}

std::size_t DataDecoder::Decode(std::string_view input, std::string& out) {
  std::size_t used = 0;
  while (used < input.size() && state_ != State::kDone) {
    const char c = input[used];
    switch (state_) {
      case State::kLineStart:
        state_ = c == '.' ? State::kDot : State::kLine;
        if (c == '.') ++used;
        break;
      case State::kLine:
        used += DecodeInLine(input.substr(used), out);
        break;
      case State::kCr:
        Append("\r", out);
        if (c == '\n') {
          Append("\n", out);
          EndLine();
          ++used;
        } else {
          bare_newline_ = true;
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
          Append("\r", out);
          bare_newline_ = true;
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
