// Trains the churn model by Newton steps: train TRAIN.csv ROWS.csv MODEL.txt EXPECTED.csv
//
// EXPECTED.csv gets what the model answers to ROWS.csv, so that the served model can be held against the trained one.

#include <cstdio>
#include <cstdlib>

#include "churn.hpp"

namespace {

using Vector = std::vector<double>;
using Matrix = std::vector<Vector>;

constexpr double kPenalty = 1;  // how strongly large weights are punished
constexpr double kStill = 1e-12;
constexpr int kMostSteps = 50;

// The customers of a CSV file without quotes; a column is text where a cell of it is no number.
churn::Customers read_csv(const std::string &path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw std::runtime_error("cannot read " + path);
  const auto cells_of = [](const std::string &text) {
    std::vector<std::string> cells(1);
    for (const char letter : text) {
      if (letter == ',') {
        cells.emplace_back();
      } else {
        cells.back() += letter;
      }
    }
    return cells;
  };
  const std::vector<std::string> names = cells_of(line);
  std::vector<std::vector<std::string>> columns(names.size());
  churn::Customers customers;
  for (; std::getline(file, line); ++customers.rows) {
    const std::vector<std::string> cells = cells_of(line);
    for (std::size_t place = 0; place < names.size(); ++place) columns[place].push_back(cells.at(place));
  }
  for (std::size_t place = 0; place < names.size(); ++place) {
    Vector numbers;
    bool text = false;
    for (const std::string &cell : columns[place]) {
      char *end = nullptr;
      numbers.push_back(cell.empty() ? std::numeric_limits<double>::quiet_NaN() : std::strtod(cell.c_str(), &end));
      text = text || (!cell.empty() && *end != '\0');
    }
    if (text) {
      customers.texts[names[place]] = std::move(columns[place]);
    } else {
      customers.numbers[names[place]] = std::move(numbers);
    }
  }
  return customers;
}

// What is learnt about the columns themselves: means, deviations, the values of texts.
churn::Model described(const churn::Customers &customers) {
  churn::Model model;
  const double count = static_cast<double>(customers.rows);
  for (const auto &[name, values] : customers.numbers) {
    churn::Scale scale{name};
    for (const double value : values) scale.mean += value / count;
    double variance = 0;
    for (const double value : values) variance += (value - scale.mean) * (value - scale.mean) / count;
    scale.deviation = std::sqrt(variance);
    model.scales.push_back(scale);
  }
  for (const auto &[name, values] : customers.texts) {
    std::vector<std::string> known = values;
    std::sort(known.begin(), known.end());
    known.erase(std::unique(known.begin(), known.end()), known.end());
    for (const std::string &value : known) model.levels.push_back({name, value, 0});
  }
  return model;
}

// The solution of `matrix` x = `right` for a symmetric positive definite matrix, by Cholesky's decomposition.
Vector solved(Matrix matrix, Vector right) {
  const std::size_t size = right.size();
  for (std::size_t column = 0; column < size; ++column) {
    for (std::size_t row = column; row < size; ++row) {
      double sum = matrix[row][column];
      for (std::size_t at = 0; at < column; ++at) sum -= matrix[row][at] * matrix[column][at];
      matrix[row][column] = row == column ? std::sqrt(sum) : sum / matrix[column][column];
    }
  }
  for (std::size_t row = 0; row < size; ++row) {
    for (std::size_t at = 0; at < row; ++at) right[row] -= matrix[row][at] * right[at];
    right[row] /= matrix[row][row];
  }
  for (std::size_t row = size; row-- > 0;) {
    for (std::size_t at = row + 1; at < size; ++at) right[row] -= matrix[at][row] * right[at];
    right[row] /= matrix[row][row];
  }
  return right;
}

// The weights with the largest penalised likelihood. Each step solves H d = g for the gradient g and the Hessian H at the
// weights.
Vector fitted(const Matrix &rows, const Vector &left) {
  const std::size_t size = rows.front().size();
  Vector weights(size, 0);
  for (int step = 0; step < kMostSteps; ++step) {
    Vector gradient(size, 0);
    Matrix hessian(size, Vector(size, 0));
    for (std::size_t at = 1; at < size; ++at) {  // the intercept is not punished
      gradient[at] = -kPenalty * weights[at];
      hessian[at][at] = kPenalty;
    }
    for (std::size_t row = 0; row < rows.size(); ++row) {
      double logit = 0;
      for (std::size_t at = 0; at < size; ++at) logit += weights[at] * rows[row][at];
      const double probability = 1 / (1 + std::exp(-logit));
      for (std::size_t at = 0; at < size; ++at) {
        gradient[at] += (left[row] - probability) * rows[row][at];
        const double share = probability * (1 - probability) * rows[row][at];
        for (std::size_t other = 0; other < size; ++other) hessian[at][other] += share * rows[row][other];
      }
    }
    double largest = 0;
    const Vector change = solved(hessian, gradient);
    for (std::size_t at = 0; at < size; ++at) {
      weights[at] += change[at];
      largest = std::max(largest, std::abs(change[at]));
    }
    if (largest < kStill) return weights;
  }
  throw std::runtime_error("the weights did not come to rest");
}

churn::Model trained(churn::Customers customers) {
  customers.fill_total_charges();
  const Vector left = customers.numbers.at("left");
  customers.numbers.erase("left");
  churn::Model model = described(customers);
  Matrix rows;
  for (std::size_t row = 0; row < customers.rows; ++row) rows.push_back(model.features(customers, row));
  const Vector weights = fitted(rows, left);
  model.intercept = weights[0];
  std::size_t place = 1;
  for (churn::Scale &scale : model.scales) scale.weight = weights[place++];
  for (churn::Level &level : model.levels) level.weight = weights[place++];
  return model;
}

}  // namespace

int main(int count, char **arguments) {
  if (count != 5) {
    std::fputs("usage: train TRAIN.csv ROWS.csv MODEL.txt EXPECTED.csv\n", stderr);
    return 2;
  }
  try {
    const churn::Model model = trained(read_csv(arguments[1]));
    model.write(arguments[3]);
    std::ofstream expected(arguments[4]);
    expected << std::setprecision(17) << "churn_probability\n";
    for (const double probability : model.probabilities(read_csv(arguments[2]))) expected << probability << '\n';
    return expected.flush() ? 0 : 1;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "train: %s\n", error.what());
    return 1;
  }
}
