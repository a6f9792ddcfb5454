// The churn model: what training and serving have in common.

#ifndef CHURN_HPP
#define CHURN_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <iomanip>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace churn {

// Customers, column by column; a number that is missing is NaN.
struct Customers {
  std::size_t rows = 0;
  std::map<std::string, std::vector<double>> numbers;
  std::map<std::string, std::vector<std::string>> texts;

  // Whoever has no total yet has paid for as many months as there were.
  void fill_total_charges() {
    std::vector<double> &totals = numbers.at("total_charges");
    for (std::size_t row = 0; row < rows; ++row) {
      if (std::isnan(totals[row])) totals[row] = numbers.at("tenure")[row] * numbers.at("monthly_charges")[row];
    }
  }
};

// A number as the regression sees it: (value - mean) / deviation, times its weight.
struct Scale {
  std::string name;
  double mean = 0;
  double deviation = 1;
  double weight = 0;
};

// One value of a text column, and what it weighs.
struct Level {
  std::string name;
  std::string value;
  double weight = 0;
};

// A logistic regression over scaled numbers and the values of texts.
struct Model {
  double intercept = 0;
  std::vector<Scale> scales;
  std::vector<Level> levels;

  // What the regression is given of one customer: 1 for the intercept, the scaled numbers, a 1 for each value that a text has.
  std::vector<double> features(const Customers &customers, std::size_t row) const {
    std::vector<double> found{1};
    for (const Scale &scale : scales) {
      found.push_back((customers.numbers.at(scale.name)[row] - scale.mean) / scale.deviation);
    }
    for (const Level &level : levels) found.push_back(customers.texts.at(level.name)[row] == level.value ? 1 : 0);
    return found;
  }

  // The weights in the order of the features.
  std::vector<double> weights() const {
    std::vector<double> found{intercept};
    for (const Scale &scale : scales) found.push_back(scale.weight);
    for (const Level &level : levels) found.push_back(level.weight);
    return found;
  }

  // The probability of each customer to leave.
  std::vector<double> probabilities(Customers customers) const {
    customers.fill_total_charges();
    const std::vector<double> weight = weights();
    std::vector<double> found;
    for (std::size_t row = 0; row < customers.rows; ++row) {
      const std::vector<double> feature = features(customers, row);
      double logit = 0;
      for (std::size_t at = 0; at < feature.size(); ++at) logit += weight[at] * feature[at];
      found.push_back(1 / (1 + std::exp(-logit)));
    }
    return found;
  }

  // One line per weight; 17 digits give every double back.
  void write(const std::string &path) const {
    std::ofstream file(path);
    file << std::setprecision(17) << "intercept " << intercept << '\n';
    for (const Scale &scale : scales) {
      file << "number " << scale.weight << ' ' << scale.name << ' ' << scale.mean << ' ' << scale.deviation << '\n';
    }
    for (const Level &level : levels) file << "text " << level.weight << ' ' << level.name << ' ' << level.value << '\n';
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
  }

  static Model read(const std::string &path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    Model model;
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string kind;
      double weight = 0;
      words >> kind >> weight;
      if (kind == "intercept") {
        model.intercept = weight;
      } else if (kind == "number") {
        Scale scale;
        words >> scale.name >> scale.mean >> scale.deviation;
        scale.weight = weight;
        model.scales.push_back(scale);
      } else if (kind == "text") {
        Level level;
        words >> level.name >> std::ws;
        std::getline(words, level.value);
        level.weight = weight;
        model.levels.push_back(level);
      }
      if (words.fail()) throw std::runtime_error("not a line of a model: " + line);
    }
    return model;
  }
};

}  // namespace churn

#endif  // CHURN_HPP
