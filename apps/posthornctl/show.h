#ifndef POSTHORN_APPS_POSTHORNCTL_SHOW_H_
#define POSTHORN_APPS_POSTHORNCTL_SHOW_H_

#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/posthornctl/output.h"
#include "apps/posthornctl/session.h"

namespace posthorn::ctl {

// One cell a column.
template <typename Item>
struct Columns {
  std::vector<std::string> header;
  std::function<std::vector<std::string>(const Item&)> row;
};

template <typename Item>
void ShowList(const Session& session, const Columns<Item>& columns,
              const std::vector<Item>& items) {
  if (session.json()) {
    std::string out = "[";
    for (const Item& item : items) {
      out += out.size() == 1 ? "" : ",\n ";
      out += ToJson(item);
    }
    std::cout << out << "]\n";
    return;
  }
  Table table(columns.header);
  for (const Item& item : items) table.Add(columns.row(item));
  std::cout << table.ToString();
}

// Names on the left, values on the right.
template <typename Item>
void ShowOne(const Session& session, const Columns<Item>& columns, const Item& item) {
  if (session.json()) {
    std::cout << ToJson(item) << "\n";
    return;
  }
  const std::vector<std::string> values = columns.row(item);
  Table table({columns.header[0], values[0]});
  for (std::size_t i = 1; i < values.size(); ++i) table.Add({columns.header[i], values[i]});
  std::cout << table.ToString();
}

template <typename Item>
absl::Status Show(const Session& session, const Columns<Item>& columns,
                  const absl::StatusOr<Item>& item) {
  if (!item.ok()) return item.status();
  ShowOne(session, columns, *item);
  return absl::OkStatus();
}

// For calls without a result worth showing.
template <typename Response>
absl::Status Done(const Session& session, const absl::StatusOr<Response>& response,
                  const std::string& text) {
  if (!response.ok()) return response.status();
  std::cout << (session.json() ? "{}" : text) << "\n";
  return absl::OkStatus();
}

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_SHOW_H_
