#include "lib/config/applier.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "posthorn/config/v1/options.pb.h"

namespace posthorn::config {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string Join(const std::string& key, const std::string& name) {
  return key.empty() ? name : absl::StrCat(key, ".", name);
}

// The name of the field the writer may have meant: the one that differs least, if little.
std::string Suggestion(const google::protobuf::Descriptor& type, const std::string& name) {
  std::string best;
  std::size_t best_distance = 3;
  for (int i = 0; i < type.field_count(); ++i) {
    const std::string& candidate = type.field(i)->name();
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t a = 1; a <= name.size(); ++a) {
      std::size_t diagonal = row[0];
      row[0] = a;
      for (std::size_t b = 1; b < row.size(); ++b) {
        const std::size_t change = diagonal + (name[a - 1] == candidate[b - 1] ? 0 : 1);
        diagonal = row[b];
        row[b] = std::min({row[b] + 1, row[b - 1] + 1, change});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

std::string UnknownKey(const google::protobuf::Descriptor& type, const std::string& name) {
  const std::string suggestion = Suggestion(type, name);
  if (suggestion.empty()) return "unknown key";
  return absl::StrCat("unknown key; did you mean \"", suggestion, "\"?");
}

struct Bounds {
  std::int64_t minimum;
  std::int64_t maximum;
};

Bounds BoundsOf(const FieldDescriptor& field) {
  const auto& options = field.options();
  const bool wide = field.cpp_type() == FieldDescriptor::CPPTYPE_INT64;
  Bounds bounds{wide ? std::numeric_limits<std::int64_t>::min()
                     : std::numeric_limits<std::int32_t>::min(),
                wide ? std::numeric_limits<std::int64_t>::max()
                     : std::numeric_limits<std::int32_t>::max()};
  if (options.HasExtension(v1::minimum)) bounds.minimum = options.GetExtension(v1::minimum);
  if (options.HasExtension(v1::maximum)) bounds.maximum = options.GetExtension(v1::maximum);
  return bounds;
}

std::optional<bool> ParseBool(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

std::string Quoted(const FieldDescriptor& field, const std::string& value) {
  if (field.options().GetExtension(v1::secret)) return "the value given";
  // One line, whatever was written.
  return absl::StrCat("\"", absl::StrReplaceAll(value, {{"\n", "\\n"}, {"\r", "\\r"}}), "\"");
}

}  // namespace

void ApplyDefaults(Message& message) {
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  Origins unused;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (!field.is_repeated() && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      ApplyDefaults(*reflection.MutableMessage(&message, &field));
      continue;
    }
    if (!field.options().HasExtension(v1::default_value)) continue;
    Applier applier("the schema", false, unused);
    const std::vector<Step> steps = {Step(field.name())};
    const absl::Status applied =
        applier.ApplyOverride(steps, field.options().GetExtension(v1::default_value), message);
    // The schema is compiled in: a test goes through all of it.
    if (!applied.ok()) GOOGLE_LOG(FATAL) << std::string(applied.message());
  }
}

absl::Status Applier::ApplyMap(const YAML::Node& node, Message& message, const std::string& key) {
  if (node.IsNull()) return absl::OkStatus();  // "gateway:" and nothing below it
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  if (!node.IsMap()) return Error(node, key, "must be a section with keys and values");
  absl::flat_hash_set<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) return Error(entry.first, key, "a key must be a plain word");
    const std::string name = entry.first.Scalar();
    const std::string child = Join(key, name);
    const FieldDescriptor* field = type.FindFieldByName(name);
    if (field == nullptr) return Error(entry.first, child, UnknownKey(type, name));
    if (!seen.insert(name).second) return Error(entry.first, child, "given twice");
    if (entry.second.IsNull() && field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      return Error(entry.first, child, "has no value");  // a null is marked at the next token
    }
    if (absl::Status s = ApplyField(entry.second, *field, message, child); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Applier::ApplyOverride(const std::vector<Step>& steps, const std::string& text,
                                    Message& root) {
  Message* message = &root;
  std::string key;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const google::protobuf::Descriptor& type = *message->GetDescriptor();
    const google::protobuf::Reflection& reflection = *message->GetReflection();
    key = Join(key, steps[i].name);
    const FieldDescriptor* field =
        steps[i].index >= 0 ? nullptr : type.FindFieldByName(steps[i].name);
    if (field == nullptr) return Error(YAML::Node(), key, UnknownKey(type, steps[i].name));

    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    const bool indexed = i + 1 < steps.size() && steps[i + 1].index >= 0;
    if (indexed && !field->is_repeated()) return Error(YAML::Node(), key, "is not a list");
    int index = -1;
    if (indexed) {
      index = steps[++i].index;
      const int size = reflection.FieldSize(*message, field);
      if (index > size) {
        return Error(YAML::Node(), absl::StrCat(key, "[", index, "]"),
                     absl::StrCat("the list has only ", size, " entries"));
      }
      absl::StrAppend(&key, "[", index, "]");
      if (index == size && is_message) ApplyDefaults(*reflection.AddMessage(message, field));
      if (index == size && !is_message) index = -1;
    }
    const bool last = i + 1 == steps.size();
    if (!last) {
      if (!is_message) return Error(YAML::Node(), key, "has no keys below it");
      if (field->is_repeated() && !indexed) {
        return Error(YAML::Node(), key, "is a list: write an index, as in [0]");
      }
      message = field->is_repeated() ? reflection.MutableRepeatedMessage(message, field, index)
                                     : reflection.MutableMessage(message, field);
      continue;
    }
    YAML::Node node;
    const bool plain = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
                       (indexed || !field->is_repeated());
    try {
      node = plain ? YAML::Node(text) : YAML::Load(text);
    } catch (const YAML::Exception& e) {
      return Error(YAML::Node(), key, absl::StrCat("is not valid YAML: ", e.msg));
    }
    if (!indexed) return ApplyField(node, *field, *message, key);
    if (!is_message) return ApplyScalar(node, *field, *message, key, index);
    return ApplyMap(node, *reflection.MutableRepeatedMessage(message, field, index), key);
  }
  return Error(YAML::Node(), key, "names no key");
}

absl::Status Applier::ApplyField(const YAML::Node& node, const FieldDescriptor& field,
                                 Message& message, const std::string& key) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  origins_[key] = PlaceOf(node);
  if (!field.is_repeated()) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return ApplyMap(node, *reflection.MutableMessage(&message, &field), key);
    }
    return ApplyScalar(node, field, message, key, -1);
  }
  if (!node.IsSequence()) {
    return Error(node, key, "must be a list: lines that begin with \"- \", or [a, b]");
  }
  reflection.ClearField(&message, &field);
  int index = 0;
  for (const YAML::Node& element : node) {
    const std::string child = absl::StrCat(key, "[", index++, "]");
    if (absl::Status s = ApplyElement(element, field, message, child); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Applier::ApplyElement(const YAML::Node& node, const FieldDescriptor& field,
                                   Message& message, const std::string& key) {
  origins_[key] = PlaceOf(node);
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return ApplyScalar(node, field, message, key, -1);
  }
  Message* element = message.GetReflection()->AddMessage(&message, &field);
  ApplyDefaults(*element);
  return ApplyMap(node, *element, key);
}

absl::Status Applier::ApplyScalar(const YAML::Node& node, const FieldDescriptor& field,
                                  Message& message, const std::string& key, int index) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (node.IsNull()) return Error(node, key, "has no value");
  if (!node.IsScalar()) return Error(node, key, "must be a single value");
  const std::string& text = node.Scalar();
  const bool append = field.is_repeated() && index < 0;
  origins_[key] = PlaceOf(node);

  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string& allowed = field.options().GetExtension(v1::allowed);
      if (!allowed.empty()) {
        const std::vector<std::string> values = absl::StrSplit(allowed, ' ');
        if (std::find(values.begin(), values.end(), text) == values.end()) {
          return Error(node, key,
                       absl::StrCat("must be one of ", absl::StrJoin(values, ", "), ", not ",
                                    Quoted(field, text)));
        }
      }
      if (text.find('\0') != std::string::npos) return Error(node, key, "contains a NUL");
      if (append) reflection.AddString(&message, &field, text);
      else if (index >= 0) reflection.SetRepeatedString(&message, &field, index, text);
      else reflection.SetString(&message, &field, text);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      const std::optional<bool> value = ParseBool(text);
      if (!value.has_value()) {
        return Error(node, key, absl::StrCat("must be true or false, not ", Quoted(field, text)));
      }
      reflection.SetBool(&message, &field, *value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64: {
      std::int64_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) {
        return Error(node, key, absl::StrCat("must be a whole number, not ", Quoted(field, text)));
      }
      const Bounds bounds = BoundsOf(field);
      if (value < bounds.minimum || value > bounds.maximum) {
        return Error(node, key,
                     absl::StrCat("must be from ", bounds.minimum, " to ", bounds.maximum,
                                  ", not ", value));
      }
      const bool wide = field.cpp_type() == FieldDescriptor::CPPTYPE_INT64;
      const auto narrow = static_cast<std::int32_t>(value);
      if (append && wide) reflection.AddInt64(&message, &field, value);
      else if (append) reflection.AddInt32(&message, &field, narrow);
      else if (index >= 0 && wide) reflection.SetRepeatedInt64(&message, &field, index, value);
      else if (index >= 0) reflection.SetRepeatedInt32(&message, &field, index, narrow);
      else if (wide) reflection.SetInt64(&message, &field, value);
      else reflection.SetInt32(&message, &field, narrow);
      return absl::OkStatus();
    }
    default:
      return Error(node, key, "has a type this version cannot read");
  }
}

std::string Applier::PlaceOf(const YAML::Node& node) const {
  if (!lines_) return place_;
  const YAML::Mark mark = node.Mark();
  if (mark.is_null()) return place_;
  return absl::StrCat(place_, ":", mark.line + 1);
}

absl::Status Applier::Error(const YAML::Node& node, const std::string& key,
                            std::string_view text) const {
  const std::string place = PlaceOf(node);
  if (key.empty()) return absl::InvalidArgumentError(absl::StrCat(place, ": ", std::string(text)));
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", key, ": ", std::string(text)));
}

}  // namespace posthorn::config
