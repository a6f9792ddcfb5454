// Serves the churn model.

#include "churn.hpp"
#include "muster_host/muster_host.hpp"

namespace {

struct Served {
  churn::Model model;

  void predict(const muster::Inputs &inputs, muster::Outputs &outputs) const {
    churn::Customers customers;
    customers.rows = inputs.rows();
    for (const muster::Field &field : inputs.fields()) {
      if (field.datatype == muster::Datatype::kBytes) {
        const auto texts = inputs.texts(field.name);
        customers.texts[field.name].assign(texts.begin(), texts.end());
      } else {
        customers.numbers[field.name] = inputs.numbers(field.name);
      }
    }
    outputs.put("churn_probability", model.probabilities(std::move(customers)));
  }
};

}  // namespace

int main() {
  return muster::run([](const muster::Order &order) { return Served{churn::Model::read(order.bundle / "model/churn.txt")}; });
}
