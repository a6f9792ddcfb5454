// The loop over two pipes, as Muster speaks with it. Plain checks: the program ends with 1 when one of them fails.

#include "muster_host.hpp"

#include <cstdio>
#include <functional>

namespace {

int failed = 0;

void check(bool holds, const char *claim, int line) {
  if (holds) return;
  std::fprintf(stderr, "line %d: %s\n", line, claim);
  ++failed;
}

#define CHECK(claim) check((claim), #claim, __LINE__)

const char *const kLoad =
    R"({"protocol": 1, "bundle": "/bundle", "environment": "/environment", "entry": "model.cpp", "threads": 2,
    "inputs": [{"name": "tenure", "datatype": "INT64", "shape": [], "nullable": false},
               {"name": "text", "datatype": "BYTES", "shape": [], "nullable": true},
               {"name": "pair", "datatype": "FP32", "shape": [2], "nullable": true}],
    "outputs": [{"name": "score", "datatype": "FP64", "shape": [], "nullable": true},
                {"name": "word", "datatype": "BYTES", "shape": [], "nullable": false}]})";

struct Column {
  std::string data;
  std::string nulls;
};

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  std::string out;
  for (const T value : values) muster::detail::append(out, value);
  return out;
}

std::string table(std::uint32_t rows, const std::vector<Column> &columns) {
  std::string out = bytes_of({rows, static_cast<std::uint32_t>(columns.size())});
  for (const Column &column : columns) out += bytes_of<std::uint64_t>({column.data.size(), column.nulls.size()});
  for (const Column &column : columns) {
    out += column.data;
    muster::detail::pad(out);
    out += column.nulls;
    muster::detail::pad(out);
  }
  return out;
}

std::string question(std::uint64_t sequence, std::uint32_t rows, const std::vector<Column> &columns) {
  return muster::detail::frame_of(4, sequence, bytes_of<std::uint32_t>({1, 0, rows, 0}) + table(rows, columns));
}

const std::string kText("\x04\0\0\0\xf0\x9f\x98\x80\0\0\0\0", 12);
const std::string kSecond("\0\x01", 2);
const std::string kFirst("\x01\0", 2);

std::string two_rows(std::uint64_t sequence) {
  const std::string tenure = bytes_of<std::int64_t>({std::numeric_limits<std::int64_t>::min(), 7});
  return question(sequence, 2, {{tenure, ""}, {kText, kSecond}, {bytes_of({1.5F, -0.0F, 0.0F, 0.0F}), kSecond}});
}

std::string no_rows(std::uint64_t sequence) { return question(sequence, 0, {{}, {}, {}}); }

std::string load_frame() { return muster::detail::frame_of(2, 9, kLoad); }

using Predict = std::function<void(const muster::Inputs &, muster::Outputs &)>;

struct Model {
  Predict predict;
};

// Every frame that the loop says to what it is asked; `problem` is what it ended with.
std::vector<muster::detail::Frame> said(const std::string &asked, const Predict &predict, std::string *problem = nullptr) {
  int in[2];
  int out[2];
  if (::pipe(in) != 0 || ::pipe(out) != 0) std::abort();
  muster::detail::Pipes(in[0], in[1]).write(asked);
  ::close(in[1]);
  try {
    muster::serve(
        [&](const muster::Order &order) {
          CHECK(order.bundle == "/bundle" && order.threads == 2 && order.inputs.size() == 3);
          if (!predict) throw muster::Error("no weights");
          return Model{predict};
        },
        in[0], out[1]);
  } catch (const muster::Error &error) {
    if (problem != nullptr) *problem = error.what();
  }
  ::close(in[0]);
  ::close(out[1]);
  std::vector<muster::detail::Frame> frames;
  muster::detail::Pipes answers(out[0], -1);
  for (muster::detail::Frame frame; answers.read(frame);) frames.push_back(frame);
  ::close(out[0]);
  return frames;
}

void lengths(const muster::Inputs &inputs, muster::Outputs &outputs) {
  const auto tenure = inputs.values<std::int64_t>("tenure");
  const auto pair = inputs.numbers("pair");
  std::vector<double> score;
  std::vector<bool> nulls;
  for (const std::int64_t months : tenure) {
    score.push_back(2.5 * static_cast<double>(months));
    nulls.push_back(months < 0);
  }
  if (inputs.rows() == 2) {
    CHECK(tenure[0] == std::numeric_limits<std::int64_t>::min());
    CHECK(inputs.nulls("text") == (std::vector<bool>{false, true}));
    CHECK(pair[0] == 1.5 && std::signbit(pair[1]) && std::isnan(pair[2]) && std::isnan(pair[3]));
    CHECK(inputs.values<float>("pair")[2] == 0.0F);
  }
  outputs.put("score", score, nulls);
  outputs.put("word", inputs.texts("text"));
}

void rows_are_answered_bit_for_bit() {
  const auto frames = said(load_frame() + two_rows(17) + no_rows(18) + muster::detail::frame_of(9, 0, "{}"), lengths);
  CHECK(frames.size() == 3);
  CHECK(frames[0].kind == 3 && frames[0].sequence == 9);
  std::string wanted = bytes_of<std::uint32_t>({1, 0, 0, 0, 0, 0, 2}) + std::string("{}\0\0", 4);
  wanted += table(2, {{bytes_of({0.0, 17.5}), kFirst}, {kText, ""}});
  CHECK(frames[1].kind == 5 && frames[1].sequence == 17 && frames[1].payload == wanted);
  CHECK(frames[2].kind == 5 && frames[2].sequence == 18 && frames[2].payload.size() == 72);
}

void an_exception_costs_one_batch() {
  const Predict sometimes = [](const muster::Inputs &inputs, muster::Outputs &outputs) {
    if (inputs.rows() == 2) throw std::out_of_range("no \"such\" row");
    lengths(inputs, outputs);
  };
  const Predict oddly = [](const muster::Inputs &inputs, muster::Outputs &outputs) {
    if (inputs.rows() == 2) throw 7;
    lengths(inputs, outputs);
  };
  for (const auto &[predict, problem] : {std::pair{sometimes, "no \\\"such\\\" row"}, std::pair{oddly, "no std::exception"}}) {
    const auto frames = said(load_frame() + two_rows(1) + no_rows(2), predict);
    CHECK(frames[1].kind == 6 && frames[1].sequence == 1);
    CHECK(frames[1].payload.find("model-raised") != std::string::npos && frames[1].payload.find(problem) != std::string::npos);
    CHECK(frames[2].kind == 5 && frames[2].sequence == 2);
  }
}

void what_an_exception_says_is_told_in_utf_8() {
  // Of another encoding; half a character, a surrogate, a form that is too long, beyond the last plane; and what stays as it is.
  const std::pair<const char *, const char *> texts[] = {
      {"trouv\xe9!", "trouv\xef\xbf\xbd!"},
      {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
  };
  for (const auto &[text, told] : texts) {
    const Predict raises = [text = text](const muster::Inputs &, muster::Outputs &) { throw std::runtime_error(text); };
    const auto frames = said(load_frame() + two_rows(1), raises);
    check(frames[1].payload == std::string(R"({"code": "model-raised", "message": ")") + told + "\"}", text, __LINE__);
  }
}

void what_a_model_gives_is_held_against_the_contract() {
  using In = const muster::Inputs &;
  using Out = muster::Outputs &;
  const std::vector<std::string> words{"a", "b"};
  const std::vector<std::pair<Predict, const char *>> wrong{
      {[](In, Out) {}, "no output"},
      {[](In, Out out) { out.put("score", std::vector<double>{1.0}); }, "1 values instead of 2"},
      {[](In, Out out) { out.put("score", std::vector<int>{1, 2}); }, "FP64, not INT32"},
      {[](In, Out out) { out.put("scores", std::vector<double>{1, 2}); }, "there are score, word"},
      {[&](In, Out out) { out.put("word", words, {true, false}); }, "not nullable"},
      {[](In in, Out) { in.values<double>("tenure"); }, "INT64, not FP64"},
      {[](In in, Out) { in.numbers("text"); }, "is text"},
  };
  for (const auto &[predict, problem] : wrong) {
    const auto frames = said(load_frame() + two_rows(1), predict);
    check(frames[1].kind == 6 && frames[1].payload.find(problem) != std::string::npos, problem, __LINE__);
  }
}

void a_model_that_cannot_be_loaded_says_why() {
  const auto frames = said(load_frame(), nullptr);
  CHECK(frames.size() == 1 && frames[0].kind == 6);
  CHECK(frames[0].payload == R"({"code": "load-failed", "message": "no weights"})");
}

void bytes_that_are_no_frame_end_the_loop() {
  std::string other = load_frame();
  other[5] = 2;
  for (const std::string &asked : {other, load_frame() + two_rows(1).substr(0, 40), load_frame() + load_frame()}) {
    std::string problem;
    said(asked, lengths, &problem);
    CHECK(!problem.empty());
  }
}

void json_is_read_as_it_was_written() {
  const auto value = muster::detail::JsonReader(R"( {"a": [1, 2.5e1, -3], "e": "x\n\"\u00e9\ud83d\ude00/"} )").read();
  CHECK(value["a"].list.size() == 3 && value["a"].list[1].number == 25);
  CHECK(value["e"].text == "x\n\"\xc3\xa9\xf0\x9f\x98\x80/");
  for (const char *text : {"", "{", "[1,]", "{\"a\" 1}", "\"x", "1 2", "\"\\u12\"", "\"\\ud800\"", "nul"}) {
    bool refused = false;
    try {
      muster::detail::JsonReader(text).read();
    } catch (const muster::Error &) {
      refused = true;
    }
    check(refused, text, __LINE__);
  }
}

void halves_are_the_numbers_they_stand_for() {
  CHECK(muster::Half{0x3c00}.value() == 1.0 && muster::Half{0xc100}.value() == -2.5);
  CHECK(muster::Half{0x0001}.value() == std::ldexp(1, -24) && muster::Half{0x7bff}.value() == 65504.0);
  CHECK(std::isinf(muster::Half{0x7c00}.value()) && std::isnan(muster::Half{0x7e00}.value()));
  CHECK(std::signbit(muster::Half{0x8000}.value()));
}

}  // namespace

int main() {
  rows_are_answered_bit_for_bit();
  an_exception_costs_one_batch();
  what_an_exception_says_is_told_in_utf_8();
  what_a_model_gives_is_held_against_the_contract();
  a_model_that_cannot_be_loaded_says_why();
  bytes_that_are_no_frame_end_the_loop();
  json_is_read_as_it_was_written();
  halves_are_the_numbers_they_stand_for();
  std::puts(failed == 0 ? "all passed" : "some failed");
  return failed == 0 ? 0 : 1;
}
