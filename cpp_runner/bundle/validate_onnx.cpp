// Walks all messages of an ONNX file by the table of onnx_schema.hpp. Depth is counted, what is
// counted is bounded, and a place is spelt out only where something is refused.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "edge_runner/bundle.hpp"
#include "failure.hpp"
#include "onnx_schema.hpp"
#include "onnx_tensor.hpp"
#include "wire.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kMaxBytes = (std::size_t{1} << 31U) - 1;  // of one protobuf message
constexpr std::size_t kMaxDepth = 64;                           // protobuf itself stops at 100
constexpr std::size_t kMaxMessages = 1U << 22U;  // the largest of timm's models have some 50,000
constexpr std::uint64_t kMaxIr = 100;  // far beyond what a runtime takes, which says so itself
constexpr std::uint64_t kMaxOpset = 1000;

template <typename Names>
bool has(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view text_field(std::string_view message, std::uint32_t number) {
  WireReader reader(message);
  Field field;
  while (reader.next(field)) {
    if (field.number == number && field.wire == Wire::bytes) return field.bytes;
  }
  return {};
}

const Rule* rule_of(Message message, std::uint32_t number) {
  for (const Rule& rule : rules_of(message)) {
    if (rule.field == number) return &rule;
  }
  return nullptr;
}

Wire wire_of(Kind kind) {
  if (kind == Kind::number) return Wire::varint;
  return kind == Kind::float32 ? Wire::fixed32 : Wire::bytes;
}

// Repeated numbers come one by one or packed into one field.
bool fits(const Rule& rule, const Field& field) {
  std::uint64_t count = 0;
  const bool packed = field.wire == Wire::bytes;
  switch (rule.kind) {
    case Kind::numbers:
      return field.wire == Wire::varint || (packed && count_varints(field.bytes, count));
    case Kind::floats:
      return field.wire == Wire::fixed32 || (packed && field.bytes.size() % 4 == 0);
    case Kind::doubles:
      return field.wire == Wire::fixed64 || (packed && field.bytes.size() % 8 == 0);
    default:
      return field.wire == wire_of(rule.kind);
  }
}

class Validator {
 public:
  void walk(Message message, std::string_view bytes) {
    if (++messages_ > kMaxMessages) refuse("the file has more than 4,194,304 messages");
    if (path_.size() > kMaxDepth) refuse("it is nested more than 64 messages deep");
    std::uint64_t seen = 0;
    std::array<std::size_t, 32> counts{};
    WireReader reader(bytes);
    Field field;
    while (reader.next(field)) {
      const Rule* rule = rule_of(message, field.number);
      if (rule == nullptr) {
        refuse(std::string(name_of(message)) + " has no field " + std::to_string(field.number));
      }
      check(*rule, field, seen);
      if (rule->kind != Kind::message) continue;
      path_.push_back({rule, field.bytes, counts[field.number]++});
      walk(rule->message, field.bytes);
      path_.pop_back();
    }
    check_whole(message, bytes);
  }

 private:
  struct Step {
    const Rule* rule = nullptr;
    std::string_view bytes;
    std::size_t index = 0;
  };

  void check(const Rule& rule, const Field& field, std::uint64_t& seen) {
    const std::string name(rule.name);
    if (rule.kind == Kind::refused) {
      if (field.wire == Wire::bytes && field.bytes.empty()) return;
      refuse(rule.field == 13 && rule.name == "external_data"
                 ? "its data is outside the file; pack the model with its data inside"
                 : "it has " + name + ", which this runner does not take");
    }
    if (!fits(rule, field)) refuse("the field " + name + " is of another kind");
    const std::uint64_t bit = std::uint64_t{1} << field.number;
    if (!rule.repeated && (seen & bit) != 0) refuse("the field " + name + " appears twice");
    seen |= bit;
  }

  void check_whole(Message message, std::string_view bytes) {
    if (message == Message::model) check_model(bytes);
    if (message == Message::node) check_node(bytes);
    if (message == Message::dimension) check_dimension(bytes);
    if (message == Message::tensor) {
      const std::string wrong = wrong_with_tensor(bytes);
      if (!wrong.empty()) refuse(wrong);
    }
  }

  void check_model(std::string_view bytes) {
    std::uint64_t ir = 0;
    bool has_graph = false;
    std::vector<std::string_view> domains;
    WireReader reader(bytes);
    Field field;
    while (reader.next(field)) {
      if (field.number == 1) ir = field.value;
      if (field.number == 7) has_graph = true;
      if (field.number == 8) check_import(field.bytes, domains);
    }
    if (ir == 0 || ir > kMaxIr) refuse("ir_version is " + std::to_string(ir));
    if (!has_graph) refuse("it has no graph");
    if (!has(domains, "")) refuse("it imports no version of the standard operators");
  }

  void check_import(std::string_view bytes, std::vector<std::string_view>& domains) {
    std::uint64_t version = 0;
    WireReader reader(bytes);
    Field field;
    while (reader.next(field)) {
      if (field.number == 2) version = field.value;
    }
    std::string_view domain = text_field(bytes, 1);
    if (!is_known_domain(domain)) refuse("it imports the unknown domain " + quoted(domain));
    if (domain == "ai.onnx") domain = "";
    if (has(domains, domain)) refuse("it imports the domain " + quoted(domain) + " twice");
    if (version == 0 || version > kMaxOpset) {
      refuse("it imports version " + std::to_string(version) + " of " + quoted(domain));
    }
    domains.push_back(domain);
  }

  void check_node(std::string_view bytes) {
    const std::string_view type = text_field(bytes, 4);
    const std::string_view domain = text_field(bytes, 7);
    if (type.empty()) refuse("it has no op_type");
    if (domain.empty() || domain == "ai.onnx") return;
    if (domain != "com.microsoft") {
      refuse("the operator " + quoted(type) + " is of the domain " + quoted(domain) +
             ", which this runner does not take");
    }
    if (!is_allowed_of_microsoft(type)) {
      refuse("com.microsoft's operator " + quoted(type) + " is not one that this runner supports");
    }
  }

  void check_dimension(std::string_view bytes) {
    WireReader reader(bytes);
    Field field;
    while (reader.next(field)) {
      if (field.number == 1 && (field.value >> 63U) != 0) refuse("an axis is negative");
    }
  }

  // graph.node[3] 'conv1'.attribute[0] 'value'.t: ...
  [[noreturn]] void refuse(const std::string& why) const {
    std::string place;
    for (const Step& step : path_) {
      place += (place.empty() ? "" : ".") + std::string(step.rule->name);
      if (step.rule->repeated) place += "[" + std::to_string(step.index) + "]";
      const std::string_view name = name_in(step);
      if (!name.empty()) place += " " + quoted(name);
    }
    fail(Code::unsafe_model, "ONNX model: " + place + (place.empty() ? "" : ": ") + why + ".");
  }

  // The bytes were not all validated at yet, and need not be well-formed.
  static std::string_view name_in(const Step& step) {
    const Rule* rule = nullptr;
    for (const Rule& each : rules_of(step.rule->message)) {
      if (each.name == "name") rule = &each;
    }
    if (rule == nullptr) return {};
    try {
      return text_field(step.bytes, rule->field);
    } catch (const Failure&) {
      return {};
    }
  }

  std::vector<Step> path_;
  std::size_t messages_ = 0;
};

}  // namespace

Result<Done> validate_onnx(std::span<const std::byte> file) noexcept {
  return guarded([file] {
    if (file.empty() || file.size() > kMaxBytes) {
      fail(Code::unsafe_model, "The file is no ONNX model: it is empty or has more than 2 GiB.");
    }
    const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
    Validator().walk(Message::model, bytes);
    return Done{};
  });
}

}  // namespace edge_runner
