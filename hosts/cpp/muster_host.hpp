// Serves a model written in C++17, with no dependency but the standard library and POSIX.
//
//     #include "muster_host/muster_host.hpp"
//
//     struct Tariff {
//       double per_minute;
//
//       void predict(const muster::Inputs &inputs, muster::Outputs &outputs) {
//         std::vector<double> price = inputs.numbers("minutes");
//         for (double &value : price) value *= per_minute;
//         outputs.put("price", price);
//       }
//     };
//
//     int main() {
//       return muster::run([](const muster::Order &order) { return Tariff{read_tariff(order.bundle / "tariff.txt")}; });
//     }
//
// `run` speaks host protocol 1 on descriptors 3 and 4, so that the model may print whatever it likes. One batch is computed at a
// time. An exception that leaves `predict` costs that batch and nothing else.
//
// Licence: Apache-2.0.

#ifndef MUSTER_HOST_HPP
#define MUSTER_HOST_HPP

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire is little-endian, and so is this helper");

namespace muster {

// Whatever keeps a model from answering; its text reaches the caller. Any other std::exception does as well.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A number of 16 bits (FP16), for which C++17 has no type: its bits, kept as they are.
struct Half {
  std::uint16_t bits = 0;

  // Its value; every half is a double exactly.
  double value() const {
    const int exponent = bits >> 10 & 31;
    const double fraction = bits & 1023;
    double size = std::ldexp(fraction, -24);
    if (exponent == 31) {
      size = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
    } else if (exponent > 0) {
      size = std::ldexp(1 + fraction / 1024, exponent - 15);
    }
    return std::copysign(size, bits >> 15 ? -1.0 : 1.0);
  }
};

// The datatype of a field, as the Open Inference Protocol V2 names it.
enum class Datatype { kBool, kUint8, kUint16, kUint32, kUint64, kInt8, kInt16, kInt32, kInt64, kFp16, kFp32, kFp64, kBytes };

namespace detail {

struct Kind {
  const char *name;
  std::size_t width;  // bytes of one element; 0 for text, whose elements vary
};

inline const Kind &kind_of(Datatype datatype) {
  static const std::array<Kind, 13> kinds{{{"BOOL", 1},
                                           {"UINT8", 1},
                                           {"UINT16", 2},
                                           {"UINT32", 4},
                                           {"UINT64", 8},
                                           {"INT8", 1},
                                           {"INT16", 2},
                                           {"INT32", 4},
                                           {"INT64", 8},
                                           {"FP16", 2},
                                           {"FP32", 4},
                                           {"FP64", 8},
                                           {"BYTES", 0}}};
  return kinds[static_cast<std::size_t>(datatype)];
}

inline Datatype datatype_named(const std::string &name) {
  for (int place = 0; place < 13; ++place) {
    if (name == kind_of(static_cast<Datatype>(place)).name) return static_cast<Datatype>(place);
  }
  throw Error("this helper does not know the datatype " + name);
}

template <class T>
constexpr bool is_text = std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>;

template <class T>
constexpr Datatype datatype_of() {
  if constexpr (std::is_same_v<T, bool>) {
    return Datatype::kBool;
  } else if constexpr (std::is_same_v<T, Half>) {
    return Datatype::kFp16;
  } else if constexpr (std::is_same_v<T, float>) {
    return Datatype::kFp32;
  } else if constexpr (std::is_same_v<T, double>) {
    return Datatype::kFp64;
  } else if constexpr (is_text<T>) {
    return Datatype::kBytes;
  } else {
    static_assert(std::is_integral_v<T>, "columns hold numbers, bool, muster::Half and text");
    constexpr int size = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
    constexpr Datatype first = std::is_signed_v<T> ? Datatype::kInt8 : Datatype::kUint8;
    return static_cast<Datatype>(static_cast<int>(first) + size);
  }
}

template <class T>
T number_at(const char *at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void append(std::string &out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof bytes);
}

inline std::size_t padding(std::size_t length) { return -length & 7; }

inline void pad(std::string &out) { out.append(padding(out.size()), '\0'); }

// Just enough JSON for the load document.
struct Json {
  enum class Type { kNull, kBool, kNumber, kText, kList, kObject };
  Type type = Type::kNull;
  double number = 0;  // of a bool: 0 or 1
  std::string text;
  std::vector<Json> list;          // elements of a list, or values of an object
  std::vector<std::string> names;  // of an object: the name of each value

  const Json &operator[](const std::string &name) const {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw Error("the load document lacks \"" + name + "\"");
    return list[static_cast<std::size_t>(found - names.begin())];
  }
};

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  Json read() {
    Json value = any();
    blanks();
    if (at_ != text_.size()) wrong("the end");
    return value;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;

  [[noreturn]] void wrong(const std::string &wanted) const {
    throw Error("no JSON: byte " + std::to_string(at_) + " should be " + wanted);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void blanks() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
  }

  bool take(char letter) {
    blanks();
    if (peek() != letter) return false;
    ++at_;
    return true;
  }

  void expect(char letter) {
    if (!take(letter)) wrong(std::string("'") + letter + "'");
  }

  Json any() {
    blanks();
    if (++depth_ > 64) wrong("less deep");
    Json value;
    switch (peek()) {
      case '{': object(value); break;
      case '[': list(value); break;
      case '"':
        value.type = Json::Type::kText;
        value.text = string();
        break;
      case 't':
        word("true");
        value.type = Json::Type::kBool;
        value.number = 1;
        break;
      case 'f':
        word("false");
        value.type = Json::Type::kBool;
        break;
      case 'n': word("null"); break;
      default: number(value);
    }
    --depth_;
    return value;
  }

  void word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) wrong(std::string(word));
    at_ += word.size();
  }

  void number(Json &value) {
    const std::size_t end = std::min(text_.find_first_not_of("0123456789+-.eE", at_), text_.size());
    const std::string digits(text_.substr(at_, end - at_));
    char *stopped = nullptr;
    value.type = Json::Type::kNumber;
    value.number = std::strtod(digits.c_str(), &stopped);
    if (digits.empty() || *stopped != '\0') wrong("a value");
    at_ = end;
  }

  void list(Json &value) {
    value.type = Json::Type::kList;
    ++at_;
    if (take(']')) return;
    do {
      value.list.push_back(any());
    } while (take(','));
    expect(']');
  }

  void object(Json &value) {
    value.type = Json::Type::kObject;
    ++at_;
    if (take('}')) return;
    do {
      blanks();
      value.names.push_back(string());
      expect(':');
      value.list.push_back(any());
    } while (take(','));
    expect('}');
  }

  std::string string() {
    if (peek() != '"') wrong("a string");
    ++at_;
    std::string out;
    while (true) {
      const std::size_t end = text_.find_first_of("\"\\", at_);
      if (end == std::string_view::npos) wrong("the end of a string");
      out.append(text_.substr(at_, end - at_));
      at_ = end + 1;
      if (text_[end] == '"') return out;
      escape(out);
    }
  }

  void escape(std::string &out) {
    const char letter = peek();
    ++at_;
    switch (letter) {
      case '"':
      case '\\':
      case '/': out += letter; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'u': encode(out, code_point()); break;
      default: wrong("an escape");
    }
  }

  std::uint32_t code_point() {
    std::uint32_t code = hex();
    if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      const std::uint32_t low = hex();
      if (low < 0xdc00 || low > 0xdfff) wrong("the second half of a pair");
      return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code >= 0xd800 && code < 0xe000) wrong("a character");
    return code;
  }

  std::uint32_t hex() {
    const std::string digits(text_.substr(std::min(at_, text_.size()), 4));
    if (digits.size() != 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      wrong("four hexadecimal digits");
    }
    at_ += 4;
    return static_cast<std::uint32_t>(std::stoul(digits, nullptr, 16));
  }

  static void encode(std::string &out, std::uint32_t code) {
    const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | code >> 6);
      tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xe0 | code >> 12);
      tail(6), tail(0);
    } else {
      out += static_cast<char>(0xf0 | code >> 18);
      tail(12), tail(6), tail(0);
    }
  }
};

// How many bytes the character of UTF-8 has with which a text begins; 0 where it begins with none.
inline std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  for (std::size_t at = 1; at < size; ++at) {
    if ((byte(at) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool is_long = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool is_none = (first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90);
  return is_long || is_none ? 0 : size;
}

// A text as UTF-8: a byte that is of no character is U+FFFD. What an exception says may be in any encoding.
inline std::string sanitised(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    if (size == 0) {
      out += "\xef\xbf\xbd";
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

// A text as a JSON string, with its quotes.
inline std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < ' ') {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(letter));
      out += escaped;
    } else {
      out += letter;
    }
  }
  return out + '"';
}

}  // namespace detail

// One input or output of the contract.
struct Field {
  std::string name;
  Datatype datatype;
  std::vector<std::size_t> shape;  // of one row; empty for a scalar
  bool nullable;

  // Elements of one row: 1 for a scalar.
  std::size_t elements() const {
    std::size_t count = 1;
    for (const std::size_t extent : shape) count *= extent;
    return count;
  }
};

// What a model is told when it is loaded.
struct Order {
  std::filesystem::path bundle;       // the folder of the bundle, which holds the model's files
  std::filesystem::path environment;  // the folder of the environment, which holds what was built
  std::string entry;                  // `entry` of [runtime]
  int threads = 1;                    // how many threads the model may compute with
  std::vector<Field> inputs;          // what it is asked with, in the order of the contract
  std::vector<Field> outputs;         // what it has to answer, in the order of the contract
};

namespace detail {

inline std::size_t place_of(const std::vector<Field> &fields, const std::string &name, const char *what) {
  std::string names;
  for (std::size_t place = 0; place < fields.size(); ++place) {
    if (fields[place].name == name) return place;
    names += (place ? ", " : "") + fields[place].name;
  }
  throw Error(std::string("there is no ") + what + " \"" + name + "\", there are " + names);
}

inline void must_be(const Field &field, Datatype wanted) {
  if (field.datatype == wanted) return;
  throw Error("field \"" + field.name + "\" is " + kind_of(field.datatype).name + ", not " + kind_of(wanted).name);
}

// Bytes that are taken one after another; what is not there is an error.
class Cursor {
 public:
  explicit Cursor(std::string_view rest) : rest_(rest) {}

  bool empty() const { return rest_.empty(); }

  std::string_view take(std::uint64_t length) {
    if (length > rest_.size()) throw Error("the table is cut off");
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }

  template <class T>
  T number() {
    return number_at<T>(take(sizeof(T)).data());
  }

 private:
  std::string_view rest_;
};

}  // namespace detail

// The rows that a model is asked about; columns are read by name. A tensor of shape [3] has three elements per row, row after
// row. The place of a null holds zero, or an empty text. What is not there, or has another datatype, throws muster::Error.
class Inputs {
 public:
  // The table of a PREDICT frame; fields and bytes have to outlive it.
  Inputs(const std::vector<Field> &fields, std::string_view table) : fields_(fields) {
    detail::Cursor cursor(table);
    rows_ = cursor.number<std::uint32_t>();
    if (cursor.number<std::uint32_t>() != fields.size()) throw Error("the table has not the columns of the contract");
    std::vector<std::pair<std::uint64_t, std::uint64_t>> lengths;
    for (std::size_t place = 0; place < fields.size(); ++place) {
      const auto data = cursor.number<std::uint64_t>();
      lengths.emplace_back(data, cursor.number<std::uint64_t>());
    }
    for (std::size_t place = 0; place < fields.size(); ++place) {
      const std::string_view data = part(cursor, lengths[place].first);
      columns_.push_back({data, part(cursor, lengths[place].second)});
      check(fields[place], columns_.back());
    }
  }

  // How many rows; may be 0.
  std::size_t rows() const { return rows_; }

  // What the columns are, in the order of the contract.
  const std::vector<Field> &fields() const { return fields_; }

  // A column in its own datatype, bit for bit: inputs.values<std::int64_t>("tenure").
  template <class T>
  std::vector<T> values(const std::string &name) const {
    static_assert(!detail::is_text<T>, "use texts");
    const std::size_t place = detail::place_of(fields_, name, "input");
    detail::must_be(fields_[place], detail::datatype_of<T>());
    const std::string_view data = columns_[place].data;
    std::vector<T> found(data.size() / sizeof(T));
    if constexpr (std::is_same_v<T, bool>) {
      std::copy(data.begin(), data.end(), found.begin());
    } else if (!found.empty()) {
      std::memcpy(found.data(), data.data(), data.size());
    }
    return found;
  }

  // A column of any numbers or booleans as double, NaN for null: what most models compute with. Integers beyond 2^53 are rounded.
  std::vector<double> numbers(const std::string &name) const {
    const std::size_t place = detail::place_of(fields_, name, "input");
    const Field &field = fields_[place];
    std::vector<double> found;
    found.reserve(rows_ * field.elements());
    switch (field.datatype) {
      case Datatype::kBool: widen<std::uint8_t>(place, found); break;
      case Datatype::kUint8: widen<std::uint8_t>(place, found); break;
      case Datatype::kUint16: widen<std::uint16_t>(place, found); break;
      case Datatype::kUint32: widen<std::uint32_t>(place, found); break;
      case Datatype::kUint64: widen<std::uint64_t>(place, found); break;
      case Datatype::kInt8: widen<std::int8_t>(place, found); break;
      case Datatype::kInt16: widen<std::int16_t>(place, found); break;
      case Datatype::kInt32: widen<std::int32_t>(place, found); break;
      case Datatype::kInt64: widen<std::int64_t>(place, found); break;
      case Datatype::kFp16: widen<Half>(place, found); break;
      case Datatype::kFp32: widen<float>(place, found); break;
      case Datatype::kFp64: widen<double>(place, found); break;
      case Datatype::kBytes: throw Error("input \"" + name + "\" is text: use texts");
    }
    const std::string_view nulls = columns_[place].nulls;
    for (std::size_t row = 0; row < nulls.size(); ++row) {
      if (nulls[row] == 0) continue;
      for (std::size_t at = 0; at < field.elements(); ++at) {
        found[row * field.elements() + at] = std::numeric_limits<double>::quiet_NaN();
      }
    }
    return found;
  }

  // A column of text in UTF-8; empty for null. The views end with the call of predict.
  std::vector<std::string_view> texts(const std::string &name) const {
    const std::size_t place = detail::place_of(fields_, name, "input");
    detail::must_be(fields_[place], Datatype::kBytes);
    std::vector<std::string_view> found;
    found.reserve(rows_ * fields_[place].elements());
    detail::Cursor cursor(columns_[place].data);
    while (!cursor.empty()) {
      const auto length = cursor.number<std::uint32_t>();
      found.push_back(cursor.take(length));
    }
    if (found.size() != rows_ * fields_[place].elements()) throw Error("input \"" + name + "\" has too few texts");
    return found;
  }

  // For each row, whether it is null.
  std::vector<bool> nulls(const std::string &name) const {
    const std::string_view marks = columns_[detail::place_of(fields_, name, "input")].nulls;
    std::vector<bool> found(rows_, false);
    std::copy(marks.begin(), marks.end(), found.begin());
    return found;
  }

 private:
  struct Column {
    std::string_view data;
    std::string_view nulls;  // empty, or a mark per row
  };

  const std::vector<Field> &fields_;
  std::size_t rows_ = 0;
  std::vector<Column> columns_;

  static std::string_view part(detail::Cursor &cursor, std::uint64_t length) {
    const std::string_view taken = cursor.take(length);
    cursor.take(detail::padding(length));
    return taken;
  }

  void check(const Field &field, const Column &column) const {
    const bool fits = field.datatype == Datatype::kBytes ||
                      column.data.size() == rows_ * field.elements() * detail::kind_of(field.datatype).width;
    if (fits && (column.nulls.empty() || column.nulls.size() == rows_)) return;
    throw Error("field \"" + field.name + "\" does not have " + std::to_string(rows_) + " rows");
  }

  template <class T>
  void widen(std::size_t place, std::vector<double> &found) const {
    const std::string_view data = columns_[place].data;
    for (std::size_t at = 0; at < data.size(); at += sizeof(T)) {
      const T value = detail::number_at<T>(data.data() + at);
      if constexpr (std::is_same_v<T, Half>) {
        found.push_back(value.value());
      } else {
        found.push_back(static_cast<double>(value));
      }
    }
  }
};

// The answers, to be put in by name; every output of the contract has to be there at the end.
class Outputs {
 public:
  Outputs(const std::vector<Field> &fields, std::size_t rows) : fields_(fields), rows_(rows), columns_(fields.size()) {}

  // What has to be answered, in the order of the contract.
  const std::vector<Field> &fields() const { return fields_; }

  // Answer one output: numbers, bool, muster::Half, std::string or std::string_view, row after row; `nulls` is empty or has a
  // mark per row, and what `values` hold where it is true is not sent. Throws muster::Error unless it is what the contract says.
  template <class T>
  void put(const std::string &name, const std::vector<T> &values, const std::vector<bool> &nulls = {}) {
    const std::size_t place = detail::place_of(fields_, name, "output");
    const Field &field = fields_[place];
    detail::must_be(field, detail::datatype_of<T>());
    const std::size_t elements = field.elements();
    if (values.size() != rows_ * elements) {
      throw Error("output \"" + name + "\" has " + std::to_string(values.size()) + " values instead of " +
                  std::to_string(rows_ * elements));
    }
    if (!nulls.empty() && nulls.size() != rows_) throw Error("output \"" + name + "\" needs a null mark per row");
    const bool has_nulls = std::find(nulls.begin(), nulls.end(), true) != nulls.end();
    if (has_nulls && !field.nullable) throw Error("output \"" + name + "\" is null and is not nullable");
    Column column;
    if (has_nulls) column.nulls.assign(nulls.begin(), nulls.end());
    for (std::size_t at = 0; at < values.size(); ++at) {
      const bool null = has_nulls && nulls[at / elements];
      if constexpr (detail::is_text<T>) {
        const std::string_view text = null ? std::string_view() : std::string_view(values[at]);
        if (text.size() > std::numeric_limits<std::uint32_t>::max()) throw Error("a text is above 4 GiB");
        detail::append(column.data, static_cast<std::uint32_t>(text.size()));
        column.data.append(text);
      } else {
        detail::append<T>(column.data, null ? T{} : static_cast<T>(values[at]));
      }
    }
    column.given = true;
    columns_[place] = std::move(column);
  }

  // Append the table to a frame.
  void write(std::string &frame) const {
    detail::append(frame, static_cast<std::uint32_t>(rows_));
    detail::append(frame, static_cast<std::uint32_t>(columns_.size()));
    for (std::size_t place = 0; place < columns_.size(); ++place) {
      if (!columns_[place].given) throw Error("the model gave no output \"" + fields_[place].name + "\"");
      detail::append(frame, static_cast<std::uint64_t>(columns_[place].data.size()));
      detail::append(frame, static_cast<std::uint64_t>(columns_[place].nulls.size()));
    }
    for (const Column &column : columns_) {
      frame += column.data;
      detail::pad(frame);
      frame += column.nulls;
      detail::pad(frame);
    }
  }

 private:
  struct Column {
    std::string data;
    std::string nulls;
    bool given = false;
  };

  const std::vector<Field> &fields_;
  std::size_t rows_;
  std::vector<Column> columns_;
};

namespace detail {

enum : std::uint8_t { kProtocol = 1, kLoad = 2, kLoaded = 3, kPredict = 4, kAnswer = 5, kError = 6, kStop = 9 };

struct Frame {
  std::uint8_t kind = 0;
  std::uint64_t sequence = 0;
  std::string payload;
};

// Descriptors that carry frames.
class Pipes {
 public:
  Pipes(int in, int out) : in_(in), out_(out) {}

  // The next frame; false where the other side has closed between two frames.
  bool read(Frame &frame) {
    char head[16];
    const std::size_t got = fill(head, sizeof head);
    if (got == 0) return false;
    if (got < sizeof head) throw Error("a frame is cut off");
    if (head[5] != kProtocol || head[6] != 0 || head[7] != 0) throw Error("what came is no frame of protocol 1");
    frame.kind = static_cast<std::uint8_t>(head[4]);
    frame.sequence = number_at<std::uint64_t>(head + 8);
    frame.payload.resize(number_at<std::uint32_t>(head));
    if (fill(frame.payload.data(), frame.payload.size()) < frame.payload.size()) throw Error("a frame is cut off");
    return true;
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(out_, bytes.data(), bytes.size());
      if (count < 0 && errno != EINTR) throw Error(std::string("cannot answer: ") + std::strerror(errno));
      if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

 private:
  int in_;
  int out_;

  std::size_t fill(char *to, std::size_t wanted) {
    std::size_t got = 0;
    while (got < wanted) {
      const ssize_t count = ::read(in_, to + got, wanted - got);
      if (count < 0 && errno != EINTR) throw Error(std::string("cannot be asked: ") + std::strerror(errno));
      if (count == 0) break;
      if (count > 0) got += static_cast<std::size_t>(count);
    }
    return got;
  }
};

// Write length, kind and sequence into the 16 bytes at the beginning of a frame.
inline std::string finished(std::string frame, std::uint8_t kind, std::uint64_t sequence) {
  if (frame.size() - 16 > std::numeric_limits<std::uint32_t>::max()) throw Error("the answer is above 4 GiB");
  const auto length = static_cast<std::uint32_t>(frame.size() - 16);
  std::memcpy(frame.data(), &length, sizeof length);
  frame[4] = static_cast<char>(kind);
  frame[5] = kProtocol;
  std::memcpy(frame.data() + 8, &sequence, sizeof sequence);
  return frame;
}

inline std::string frame_of(std::uint8_t kind, std::uint64_t sequence, const std::string &payload) {
  return finished(std::string(16, '\0') + payload, kind, sequence);
}

inline std::string error_frame(std::uint64_t sequence, const char *code, std::string_view message) {
  std::size_t end = std::min<std::size_t>(message.size(), 2000);
  while (end < message.size() && end > 0 && (message[end] & 0xc0) == 0x80) --end;  // not within a character
  const std::string said = detail::quoted(sanitised(message.substr(0, end)));
  return frame_of(kError, sequence, std::string("{\"code\": \"") + code + "\", \"message\": " + said + "}");
}

inline std::vector<Field> fields_of(const Json &documents) {
  std::vector<Field> fields;
  for (const Json &document : documents.list) {
    Field field{document["name"].text, datatype_named(document["datatype"].text), {}, document["nullable"].number != 0};
    for (const Json &extent : document["shape"].list) field.shape.push_back(static_cast<std::size_t>(extent.number));
    fields.push_back(std::move(field));
  }
  return fields;
}

inline Order order_of(std::string_view payload) {
  const Json document = JsonReader(payload).read();
  if (document["protocol"].number != kProtocol) throw Error("this helper speaks protocol 1 only");
  Order order;
  order.bundle = document["bundle"].text;
  order.environment = document["environment"].text;
  order.entry = document["entry"].text;
  order.threads = static_cast<int>(document["threads"].number);
  order.inputs = fields_of(document["inputs"]);
  order.outputs = fields_of(document["outputs"]);
  return order;
}

template <class Model>
std::string answer(const Frame &frame, const Order &order, Model &model) {
  if (frame.payload.size() < 16) throw Error("the question is cut off");
  const Inputs inputs(order.inputs, std::string_view(frame.payload).substr(16));
  Outputs outputs(order.outputs, inputs.rows());
  model.predict(inputs, outputs);
  // One request, answered, without errors; the time is for the asker to measure.
  std::string said(16, '\0');
  append<std::uint32_t>(said, 1);
  said.append(20, '\0');
  append<std::uint32_t>(said, 2);
  said += "{}";
  pad(said);
  outputs.write(said);
  return finished(std::move(said), kAnswer, frame.sequence);
}

// What `work` gives, or an ERROR frame that says what was thrown.
template <class Work>
std::string guarded(std::uint64_t sequence, const char *code, const Work &work) {
  try {
    return work();
  } catch (const std::exception &error) {
    return error_frame(sequence, code, error.what());
  } catch (...) {
    return error_frame(sequence, code, "something was thrown that is no std::exception");
  }
}

}  // namespace detail

// Serve a model on two descriptors until STOP or the end of `in`; throws where the other side does not keep the protocol.
//
// `load` is called once, before the first question, with the Order; what it gives has `predict(const Inputs &, Outputs &)`.
template <class Load>
void serve(const Load &load, int in, int out) {
  using Model = std::decay_t<decltype(load(std::declval<const Order &>()))>;
  std::signal(SIGPIPE, SIG_IGN);
  detail::Pipes pipes(in, out);
  detail::Frame frame;
  Order order;
  std::unique_ptr<Model> model;
  while (pipes.read(frame) && frame.kind != detail::kStop) {
    if (frame.kind == detail::kLoad && model == nullptr) {
      pipes.write(detail::guarded(frame.sequence, "load-failed", [&] {
        order = detail::order_of(frame.payload);
        model.reset(new Model(load(order)));
        return detail::frame_of(detail::kLoaded, frame.sequence, R"({"language": "cpp", "helper": "1"})");
      }));
    } else if (frame.kind == detail::kPredict && model != nullptr) {
      pipes.write(detail::guarded(frame.sequence, "model-raised", [&] { return detail::answer(frame, order, *model); }));
    } else {
      throw Error("a frame of kind " + std::to_string(frame.kind) + " was not expected");
    }
  }
}

// Serve a model as Muster starts it: `int main() { return muster::run([](const muster::Order &order) { return Churn(order); });
// }`.
template <class Load>
int run(const Load &load) {
  if (std::getenv("MUSTER_WIRE") == nullptr) {
    std::fputs("this program is a model: Muster starts it (muster try, muster assemble)\n", stderr);
    return 2;
  }
  try {
    serve(load, 3, 4);
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "muster_host: %s\n", error.what());
    return 1;
  }
}

}  // namespace muster

#endif  // MUSTER_HOST_HPP
