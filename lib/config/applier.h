#ifndef POSTHORN_LIB_CONFIG_APPLIER_H_
#define POSTHORN_LIB_CONFIG_APPLIER_H_

// Internal to lib/config: includes yaml-cpp.

#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

namespace posthorn::config {

// Where each key was given: "posthorn.yaml:12", "environment POSTHORN_HOSTNAME", "--set ...".
using Origins = absl::flat_hash_map<std::string, std::string>;

// One step of a key: a field's name, or an index into a list.
struct Step {
  explicit Step(std::string name_in) : name(std::move(name_in)) {}
  explicit Step(int index_in) : index(index_in) {}
  std::string name;
  int index = -1;  // 0 or more: an index, and `name` is empty
};

// Fills all fields of `message` with the defaults of the schema, sections included, lists too.
void ApplyDefaults(google::protobuf::Message& message);

// Writes YAML values into a message by reflection and records where they came from. One object
// for one source; `origins` must outlive it.
class Applier {
 public:
  // Errors begin with `place`, followed by ":<line>" if `lines`.
  Applier(std::string place, bool lines, Origins& origins)
      : place_(std::move(place)), lines_(lines), origins_(origins) {}

  // `node` is a map of keys of `message`, which is what `key` names ("" for the whole).
  absl::Status ApplyMap(const YAML::Node& node, google::protobuf::Message& message,
                        const std::string& key);

  // Sets one key. `text` is taken as it is where the key is a string, else it is YAML.
  absl::Status ApplyOverride(const std::vector<Step>& steps, const std::string& text,
                             google::protobuf::Message& message);

 private:
  using Field = google::protobuf::FieldDescriptor;

  absl::Status ApplyField(const YAML::Node& node, const Field& field,
                          google::protobuf::Message& message, const std::string& key);
  absl::Status ApplyElement(const YAML::Node& node, const Field& field,
                            google::protobuf::Message& message, const std::string& key);
  // `index` below 0: a singular field, or an element that is appended.
  absl::Status ApplyScalar(const YAML::Node& node, const Field& field,
                           google::protobuf::Message& message, const std::string& key, int index);
  absl::Status Error(const YAML::Node& node, const std::string& key, std::string_view text) const;
  std::string PlaceOf(const YAML::Node& node) const;

  const std::string place_;
  const bool lines_;
  Origins& origins_;
};

}  // namespace posthorn::config

#endif  // POSTHORN_LIB_CONFIG_APPLIER_H_
