#include "pickle.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "failure.hpp"
#include "pickle_value.hpp"

namespace edge {
namespace {

constexpr std::size_t kMaxBytes = 1U << 26U;
constexpr std::size_t kMaxValues = 1U << 24U;
constexpr std::uint16_t kMaxDepth = 400;  // timm's deepest models have about 60
constexpr std::size_t kMaxBrackets = 64;  // in the text of a type

struct StorageType {
  std::string_view name;
  std::int64_t bytes;
};

constexpr std::array kStorages = {
    StorageType{"ByteStorage", 1},         StorageType{"CharStorage", 1},
    StorageType{"ShortStorage", 2},        StorageType{"IntStorage", 4},
    StorageType{"LongStorage", 8},         StorageType{"HalfStorage", 2},
    StorageType{"FloatStorage", 4},        StorageType{"DoubleStorage", 8},
    StorageType{"BoolStorage", 1},         StorageType{"BFloat16Storage", 2},
    StorageType{"ComplexFloatStorage", 8}, StorageType{"ComplexDoubleStorage", 16},
    StorageType{"QInt8Storage", 1},        StorageType{"QUInt8Storage", 1},
    StorageType{"QInt32Storage", 4},
};

struct Function {
  std::string_view name;
  PickleFunction function;
};

constexpr std::array kFunctions = {
    Function{"collections.OrderedDict", PickleFunction::ordered_dict},
    Function{"torch.jit._pickle.build_intlist", PickleFunction::list_of},
    Function{"torch.jit._pickle.build_tensorlist", PickleFunction::list_of},
    Function{"torch.jit._pickle.build_doublelist", PickleFunction::list_of},
    Function{"torch.jit._pickle.build_boollist", PickleFunction::list_of},
    Function{"torch.jit._pickle.restore_type_tag", PickleFunction::type_tag},
    Function{"builtins.complex", PickleFunction::complex},
    Function{"torch._utils._rebuild_tensor_v2", PickleFunction::tensor},
    Function{"torch._utils._rebuild_qtensor", PickleFunction::quantized_tensor},
};

constexpr std::array<std::string_view, 2> kSchemes = {"torch.per_tensor_affine",
                                                      "torch.per_channel_affine"};

std::size_t most_brackets(std::string_view text) {
  std::size_t open = 0;
  std::size_t most = 0;
  for (const char c : text) {
    if (c == '[' || c == '(') most = std::max(most, ++open);
    if ((c == ']' || c == ')') && open > 0) --open;
  }
  return most;
}

class Machine {
 public:
  Machine(std::string_view name, std::string_view bytes, const PickleWorld& world)
      : name_(name), bytes_(bytes), world_(world) {}

  void run() {
    if (take(1) != 0x80 || take(1) != 2) refuse("it is no pickle of protocol 2");
    while (step(static_cast<unsigned char>(take(1)))) {
    }
    if (at_ != bytes_.size()) refuse("something follows its end");
    if (stack_.size() != 1 || !marks_.empty()) refuse("it is more than one value");
    if (values_.at(stack_[0]).kind != PickleKind::object &&
        values_.at(stack_[0]).kind != PickleKind::tuple) {
      refuse("it is neither an object nor a tuple");
    }
  }

 private:
  using Kind = PickleKind;

  [[noreturn]] void refuse(const std::string& why) const {
    fail(Code::unsafe_model, "TorchScript archive: " + quoted(name_) + ", byte " +
                                 std::to_string(at_) + ": " + why + ".");
  }

  std::string_view take_bytes(std::uint64_t count) {
    if (count > bytes_.size() - at_) refuse("it is cut off");
    const std::string_view taken = bytes_.substr(at_, static_cast<std::size_t>(count));
    at_ += taken.size();
    return taken;
  }

  std::uint64_t take(unsigned size) {
    const std::string_view bytes = take_bytes(size);
    std::uint64_t value = 0;
    for (unsigned i = size; i > 0; --i) {
      value = value << 8U | static_cast<unsigned char>(bytes[i - 1]);
    }
    return value;
  }

  std::string_view take_line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) refuse("a name has no end");
    const std::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  void push(const PickleValue& value) {
    if (values_.values.size() >= kMaxValues) refuse("it has more than 16,777,216 values");
    if (value.depth > kMaxDepth) refuse("it is nested more than 400 levels deep");
    stack_.push_back(static_cast<std::uint32_t>(values_.values.size()));
    values_.values.push_back(value);
  }

  void push(Kind kind, std::int64_t number = 0) {
    push(PickleValue{.kind = kind, .number = number});
  }

  void push_container(Kind kind) { push(PickleValue{.kind = kind, .fresh = true, .depth = 1}); }

  // What stands above the last mark, or everything.
  [[nodiscard]] std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  std::uint32_t pop() {
    if (stack_.size() <= floor()) refuse("it takes a value where there is none");
    const std::uint32_t id = stack_.back();
    stack_.pop_back();
    values_.values[id].fresh = false;
    return id;
  }

  // The depth of what will hold everything from there on. A list in it can't be filled any more, or
  // its depth would be another.
  std::uint16_t enclose(std::size_t from) {
    std::uint16_t depth = 0;
    for (std::size_t i = from; i < stack_.size(); ++i) {
      PickleValue& value = values_.values[stack_[i]];
      value.fresh = false;
      depth = std::max(depth, value.depth);
    }
    return static_cast<std::uint16_t>(depth + 1);
  }

  void make_tuple(std::size_t from) {
    PickleValue tuple{.kind = Kind::tuple};
    tuple.depth = enclose(from);
    tuple.first = static_cast<std::uint32_t>(values_.items.size());
    tuple.count = static_cast<std::uint32_t>(stack_.size() - from);
    values_.items.insert(values_.items.end(), stack_.begin() + static_cast<std::ptrdiff_t>(from),
                         stack_.end());
    stack_.resize(from);
    push(tuple);
  }

  void make_tuple_of(std::size_t count) {
    if (stack_.size() - floor() < count) refuse("it takes a value where there is none");
    make_tuple(stack_.size() - count);
  }

  std::size_t take_mark() {
    if (marks_.empty()) refuse("it takes a mark where there is none");
    const std::size_t mark = marks_.back();
    marks_.pop_back();
    return mark;
  }

  // Everything above the last mark goes into the list or dict below it.
  void fill(Kind kind) {
    const std::size_t mark = take_mark();
    if (mark <= floor()) refuse("it fills a value where there is none");
    PickleValue& container = values_.values[stack_[mark - 1]];
    if (container.kind != kind) refuse("it fills what is no list or dict");
    if (kind == Kind::dict && (stack_.size() - mark) % 2 != 0) refuse("a dict has half an entry");
    if (!container.fresh) refuse("a list or dict is filled after it was used");
    container.depth = enclose(mark);
    container.fresh = false;
    if (container.depth > kMaxDepth) refuse("it is nested more than 400 levels deep");
    stack_.resize(mark);
  }

  // torch numbers what it keeps one by one; another number would make its table as large.
  void keep(std::uint64_t index) {
    if (index != kept_.size()) refuse("it keeps a value under a number that is not the next");
    if (stack_.size() <= floor()) refuse("it keeps a value where there is none");
    kept_.push_back(stack_.back());
  }

  void recall(std::uint64_t index) {
    if (index >= kept_.size()) refuse("it recalls a value that it has not kept");
    stack_.push_back(kept_[static_cast<std::size_t>(index)]);
    values_.values[stack_.back()].fresh = false;
    if (stack_.size() > kMaxValues) refuse("it has more than 16,777,216 values");
  }

  void push_text() {
    const std::string_view text = take_bytes(take(4));
    push(PickleValue{.kind = Kind::text, .text = text});
  }

  void push_global() {
    const std::string_view module = take_line();
    const std::string_view last = take_line();
    const std::string full = std::string(module) + "." + std::string(last);
    for (const Function& each : kFunctions) {
      if (each.name == full) {
        push(PickleValue{.kind = Kind::function, .function = each.function});
        return;
      }
    }
    for (std::size_t i = 0; i < kSchemes.size(); ++i) {
      if (kSchemes[i] == full) return push(Kind::scheme, static_cast<std::int64_t>(i));
    }
    if (module == "torch") {
      for (const StorageType& each : kStorages) {
        if (each.name == last) return push(Kind::storage_type, each.bytes);
      }
    }
    if (!world_.has_class(full)) refuse("it asks for " + quoted(full) + ", which is not allowed");
    push(Kind::type);
  }

  void push_storage() {
    const PickleValue tuple = values_.at(pop());
    if (tuple.kind != Kind::tuple || tuple.count != 5) refuse("a storage is not described by five");
    const auto ids = values_.items_of(tuple);
    const PickleValue& type = values_.at(ids[1]);
    const PickleValue& key = values_.at(ids[2]);
    const PickleValue& count = values_.at(ids[4]);
    if (values_.at(ids[0]).text != "storage" || type.kind != Kind::storage_type ||
        key.kind != Kind::text || values_.at(ids[3]).text != "cpu" || count.kind != Kind::integer ||
        count.number < 0) {
      refuse("a storage is not on the CPU, or none");
    }
    std::uint64_t bytes = 0;
    if (!world_.storage(key.text, bytes)) refuse("there is no storage " + quoted(key.text));
    if (bytes / static_cast<std::uint64_t>(type.number) !=
            static_cast<std::uint64_t>(count.number) ||
        bytes % static_cast<std::uint64_t>(type.number) != 0) {
      refuse("the storage " + quoted(key.text) + " has " + std::to_string(bytes) +
             " bytes and not " + std::to_string(count.number) + " elements of " +
             std::to_string(type.number));
    }
    push(Kind::storage, count.number);
  }

  const PickleValue& only(const PickleValue& arguments, std::uint32_t count) {
    if (arguments.count != count) refuse("a function is called with too few or too many values");
    return values_.at(values_.items_of(arguments)[0]);
  }

  void call(PickleFunction function, const PickleValue& arguments) {
    if (arguments.kind != Kind::tuple)
      refuse("a function is called with something else than values");
    PickleValue result{.depth = arguments.depth};
    switch (function) {
      case PickleFunction::ordered_dict:  // of hooks, of which there are none
        if (arguments.count != 0) refuse("a tensor has hooks");
        break;
      case PickleFunction::list_of:
        if (only(arguments, 1).kind != Kind::list) refuse("a list is made of something else");
        result.kind = Kind::list;
        break;
      case PickleFunction::type_tag: {
        result.kind = only(arguments, 2).kind;
        const PickleValue& type = values_.at(values_.items_of(arguments)[1]);
        const bool container = result.kind == Kind::list || result.kind == Kind::dict;
        if (!container || type.kind != Kind::text || most_brackets(type.text) > kMaxBrackets) {
          refuse("a type is given to what is no list or dict, or is none");
        }
        break;
      }
      case PickleFunction::complex:
        if (only(arguments, 2).kind != Kind::real) refuse("a complex number is none");
        result.kind = Kind::real;
        break;
      default: {
        const bool quantized = function == PickleFunction::quantized_tensor;
        const std::string wrong = rebuild_tensor(values_, arguments, quantized, result);
        if (!wrong.empty()) refuse(wrong);
      }
    }
    push(result);
  }

  // torch does the same for both: an instance of a class is built of its state, a function called.
  void reduce(bool build) {
    const PickleValue argument = values_.at(pop());
    const PickleValue callee = values_.at(pop());
    if (callee.kind == Kind::type) {
      push(PickleValue{.kind = Kind::object,
                       .depth = static_cast<std::uint16_t>(argument.depth + 1)});
    } else if (callee.kind == Kind::function && !build) {
      call(callee.function, argument);
    } else {
      refuse("it calls what is no function");
    }
  }

  // False at the end.
  bool step(unsigned char opcode) {
    switch (opcode) {
      case '.':
        return false;
      case '(':
        marks_.push_back(stack_.size());
        break;
      case 'N':
        push(Kind::none);
        break;
      case 0x88:
      case 0x89:
        push(Kind::boolean, opcode == 0x88);
        break;
      case 'K':
        push(Kind::integer, static_cast<std::int64_t>(take(1)));
        break;
      case 'M':
        push(Kind::integer, static_cast<std::int64_t>(take(2)));
        break;
      case 'J':
        push(Kind::integer, static_cast<std::int32_t>(take(4)));
        break;
      case 0x8a:
        if (take(1) != 8) refuse("an integer has not 8 bytes");
        push(Kind::integer, static_cast<std::int64_t>(take(8)));
        break;
      case 'G':
        take_bytes(8);
        push(Kind::real);
        break;
      case 'X':
        push_text();
        break;
      case ')':
        make_tuple(stack_.size());
        break;
      case 't':
        make_tuple(take_mark());
        break;
      case 0x85:
      case 0x86:
      case 0x87:
        make_tuple_of(opcode - 0x84U);
        break;
      case ']':
        push_container(Kind::list);
        break;
      case '}':
        push_container(Kind::dict);
        break;
      case 'e':
        fill(Kind::list);
        break;
      case 'u':
        fill(Kind::dict);
        break;
      case 'q':
        keep(take(1));
        break;
      case 'r':
        keep(take(4));
        break;
      case 'h':
        recall(take(1));
        break;
      case 'j':
        recall(take(4));
        break;
      case 'c':
        push_global();
        break;
      case 'Q':
        push_storage();
        break;
      case 'R':
        reduce(false);
        break;
      case 'b':
        reduce(true);
        break;
      case 0x81: {  // the class stays: BUILD makes the object
        const PickleValue& arguments = values_.at(pop());
        if (arguments.kind != Kind::tuple || arguments.count != 0)
          refuse("an object has arguments");
        break;
      }
      default:
        refuse("opcode " + std::to_string(opcode) + " is none that torch writes");
    }
    return true;
  }

  std::string_view name_;
  std::string_view bytes_;
  const PickleWorld& world_;
  std::size_t at_ = 0;
  PickleValues values_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::size_t> marks_;
  std::vector<std::uint32_t> kept_;
};

}  // namespace

void check_pickle(std::string_view name, std::string_view bytes, const PickleWorld& world) {
  if (bytes.size() > kMaxBytes) {
    fail(Code::unsafe_model, "TorchScript archive: " + quoted(name) + " has more than 64 MiB.");
  }
  Machine(name, bytes, world).run();
}

}  // namespace edge
