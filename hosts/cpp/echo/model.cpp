// The echo model: gives back what it was given, and does what its first input says. For the conformance kit.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "muster_host/muster_host.hpp"

namespace {

class Echo {
 public:
  void predict(const muster::Inputs &inputs, muster::Outputs &outputs) {
    for (const muster::Field &field : inputs.fields()) {
      if (field.name != "act") continue;
      for (const std::string_view asked : inputs.texts("act")) act(std::string(asked));
    }
    for (const muster::Field &field : inputs.fields()) {
      const std::string answered = "y_" + field.name;
      switch (field.datatype) {
        case muster::Datatype::kBool: echo<bool>(inputs, outputs, field.name); break;
        case muster::Datatype::kUint8: echo<std::uint8_t>(inputs, outputs, field.name); break;
        case muster::Datatype::kUint16: echo<std::uint16_t>(inputs, outputs, field.name); break;
        case muster::Datatype::kUint32: echo<std::uint32_t>(inputs, outputs, field.name); break;
        case muster::Datatype::kUint64: echo<std::uint64_t>(inputs, outputs, field.name); break;
        case muster::Datatype::kInt8: echo<std::int8_t>(inputs, outputs, field.name); break;
        case muster::Datatype::kInt16: echo<std::int16_t>(inputs, outputs, field.name); break;
        case muster::Datatype::kInt32: echo<std::int32_t>(inputs, outputs, field.name); break;
        case muster::Datatype::kInt64: echo<std::int64_t>(inputs, outputs, field.name); break;
        case muster::Datatype::kFp16: echo<muster::Half>(inputs, outputs, field.name); break;
        case muster::Datatype::kFp32: echo<float>(inputs, outputs, field.name); break;
        case muster::Datatype::kFp64: echo<double>(inputs, outputs, field.name); break;
        case muster::Datatype::kBytes: outputs.put(answered, inputs.texts(field.name), inputs.nulls(field.name)); break;
      }
    }
  }

 private:
  std::vector<std::vector<char>> held_;

  template <class T>
  static void echo(const muster::Inputs &inputs, muster::Outputs &outputs, const std::string &name) {
    outputs.put("y_" + name, inputs.values<T>(name), inputs.nulls(name));
  }

  void act(const std::string &asked) {
    const std::size_t colon = asked.find(':');
    const std::string deed = asked.substr(0, colon);
    if (deed == "raise") throw muster::Error("asked to");
    if (deed == "print") std::puts("asked to print");
    if (deed == "exit") std::_Exit(3);
    if (colon == std::string::npos) return;
    const unsigned long amount = std::stoul(asked.substr(colon + 1));
    if (deed == "sleep") std::this_thread::sleep_for(std::chrono::milliseconds(amount));
    if (deed == "allocate") held_.emplace_back(amount << 20, '\1');
  }
};

}  // namespace

int main() {
  return muster::run([](const muster::Order &) { return Echo(); });
}
