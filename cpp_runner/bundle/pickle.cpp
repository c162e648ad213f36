#include "pickle.hpp"

#include <algorithm>

#include "failure.hpp"
#include "pickle_globals.hpp"
#include "pickle_stack.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kMaxBytes = 1U << 26U;
constexpr std::size_t kMaxBrackets = 64;  // in the text of a type, which torch reads by recursion

using Kind = PickleKind;

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
  Machine(std::string_view bytes, const PickleWorld& world) : bytes_(bytes), world_(world) {}

  void run() {
    if (take(1) != 0x80 || take(1) != 2) refuse_pickle("it is not a pickle of protocol 2");
    while (step(static_cast<unsigned char>(take(1)))) {
    }
    if (at_ != bytes_.size()) refuse_pickle("something follows its end");
    if (!stack_.is_one()) refuse_pickle("it is more than one value");
    const Kind kind = stack_.pop().kind;
    if (kind != Kind::object && kind != Kind::tuple) {
      refuse_pickle("it is neither an object nor a tuple");
    }
  }

  [[nodiscard]] std::size_t place() const { return at_; }

 private:
  std::string_view take_bytes(std::uint64_t count) {
    if (count > bytes_.size() - at_) refuse_pickle("it is cut off");
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
    if (end == std::string_view::npos) refuse_pickle("a name has no end");
    const std::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  void push(Kind kind, std::int64_t number = 0) {
    PickleValue value{.kind = kind};
    value.number = number;
    stack_.push(value);
  }

  void push_integer(std::uint64_t number) {
    push(Kind::integer, static_cast<std::int64_t>(number));
  }

  void push_text() {
    PickleValue value{.kind = Kind::text};
    value.text = take_bytes(take(4));
    stack_.push(value);
  }

  void push_global() {
    const std::string_view module = take_line();
    const std::string name = std::string(module) + "." + std::string(take_line());
    PickleValue value;
    if (find_pickle_global(name, value)) return stack_.push(value);
    if (!world_.has_class(name)) {
      refuse_pickle("it asks for " + quoted(name) + ", which is not allowed");
    }
    push(Kind::type);
  }

  // ("storage", type, key, "cpu", elements)
  void push_storage() {
    const PickleValue tuple = stack_.pop();
    if (tuple.kind != Kind::tuple || tuple.count != 5) {
      refuse_pickle("a storage is not described by five values");
    }
    const PickleValue& type = stack_.item(tuple, 1);
    const PickleValue& key = stack_.item(tuple, 2);
    const PickleValue& count = stack_.item(tuple, 4);
    if (stack_.item(tuple, 0).text != "storage" || type.kind != Kind::storage_type ||
        key.kind != Kind::text || stack_.item(tuple, 3).text != "cpu" ||
        count.kind != Kind::integer || count.number < 0) {
      refuse_pickle("a storage is malformed, or not on the CPU");
    }
    std::uint64_t bytes = 0;
    if (!world_.storage(key.text, bytes)) refuse_pickle("there is no storage " + quoted(key.text));
    const auto size = static_cast<std::uint64_t>(type.number);
    if (bytes % size != 0 || bytes / size != static_cast<std::uint64_t>(count.number)) {
      refuse_pickle("the storage " + quoted(key.text) + " has " + std::to_string(bytes) +
                    " bytes and not " + std::to_string(count.number) + " elements of " +
                    std::to_string(size));
    }
    push(Kind::storage, count.number);
  }

  const PickleValue& only(const PickleValue& arguments, std::uint32_t count) const {
    if (arguments.count != count) {
      refuse_pickle("a function is called with too few or too many values");
    }
    return stack_.item(arguments, 0);
  }

  PickleValue call(PickleFunction function, const PickleValue& arguments) const {
    if (arguments.kind != Kind::tuple) refuse_pickle("a function is called without a tuple");
    PickleValue result;
    result.depth = arguments.depth;
    std::string wrong;
    switch (function) {
      case PickleFunction::ordered_dict:  // of hooks, of which there are none
        if (arguments.count != 0) refuse_pickle("a tensor has hooks");
        break;
      case PickleFunction::list_of:
        if (only(arguments, 1).kind != Kind::list)
          refuse_pickle("a list is made from something else");
        result.kind = Kind::list;
        break;
      case PickleFunction::type_tag: {
        result.kind = only(arguments, 2).kind;
        const PickleValue& type = stack_.item(arguments, 1);
        const bool container = result.kind == Kind::list || result.kind == Kind::dict;
        if (!container || type.kind != Kind::text || most_brackets(type.text) > kMaxBrackets) {
          refuse_pickle("a type is malformed, or given to something other than a list or dict");
        }
        break;
      }
      case PickleFunction::complex:
        if (only(arguments, 2).kind != Kind::real) refuse_pickle("a complex number is malformed");
        result.kind = Kind::real;
        break;
      case PickleFunction::tensor:
      case PickleFunction::quantized_tensor:
        wrong = rebuild_tensor(stack_.values(), arguments,
                               function == PickleFunction::quantized_tensor, result);
        if (!wrong.empty()) refuse_pickle(wrong);
        break;
      case PickleFunction::none:
        break;
    }
    return result;
  }

  // torch does the same for both: an instance of a class is built of its state, a function called.
  void reduce(bool build) {
    const PickleValue argument = stack_.pop();
    const PickleValue callee = stack_.pop();
    if (callee.kind == Kind::type) {
      PickleValue object{.kind = Kind::object};
      object.depth = static_cast<std::uint16_t>(argument.depth + 1);
      stack_.push(object);
    } else if (callee.kind == Kind::function && !build) {
      stack_.push(call(callee.function, argument));
    } else {
      refuse_pickle("it calls something that is not a function");
    }
  }

  // NEWOBJ takes the class's arguments, of which there are none, and leaves the class: BUILD makes
  // the object.
  void new_object() {
    const PickleValue arguments = stack_.pop();
    if (arguments.kind != Kind::tuple || arguments.count != 0) {
      refuse_pickle("an object has arguments");
    }
  }

  // False at the end.
  bool step(unsigned char opcode) {
    switch (opcode) {
      case '.':
        return false;
      case '(':
        stack_.push_mark();
        break;
      case 'N':
        push(Kind::none);
        break;
      case 0x88:
      case 0x89:
        push(Kind::boolean, opcode == 0x88);
        break;
      case 'K':
        push_integer(take(1));
        break;
      case 'M':
        push_integer(take(2));
        break;
      case 'J':
        push(Kind::integer, static_cast<std::int32_t>(take(4)));
        break;
      case 0x8a:
        if (take(1) != 8) refuse_pickle("an integer does not have 8 bytes");
        push_integer(take(8));
        break;
      case 'G':
        take_bytes(8);
        push(Kind::real);
        break;
      case 'X':
        push_text();
        break;
      case ')':
        stack_.make_tuple(0);
        break;
      case 't':
        stack_.make_tuple();
        break;
      case 0x85:
      case 0x86:
      case 0x87:
        stack_.make_tuple(opcode - 0x84U);
        break;
      case ']':
        stack_.push_container(Kind::list);
        break;
      case '}':
        stack_.push_container(Kind::dict);
        break;
      case 'e':
        stack_.fill(Kind::list);
        break;
      case 'u':
        stack_.fill(Kind::dict);
        break;
      case 'q':
        stack_.keep(take(1));
        break;
      case 'r':
        stack_.keep(take(4));
        break;
      case 'h':
        stack_.recall(take(1));
        break;
      case 'j':
        stack_.recall(take(4));
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
      case 0x81:
        new_object();
        break;
      default:
        refuse_pickle("opcode " + std::to_string(opcode) + " is not one that torch writes");
    }
    return true;
  }

  std::string_view bytes_;
  const PickleWorld& world_;
  std::size_t at_ = 0;
  PickleStack stack_;
};

}  // namespace

void check_pickle(std::string_view name, std::string_view bytes, const PickleWorld& world) {
  if (bytes.size() > kMaxBytes) {
    fail(Code::unsafe_model, "TorchScript archive: " + quoted(name) + " has more than 64 MiB.");
  }
  Machine machine(bytes, world);
  try {
    machine.run();
  } catch (const PickleFault& fault) {
    fail(Code::unsafe_model, "TorchScript archive: " + quoted(name) + ", byte " +
                                 std::to_string(machine.place()) + ": " + fault.why + ".");
  }
}

}  // namespace edge_runner
