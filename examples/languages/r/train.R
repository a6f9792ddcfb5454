# Trains the churn model: `Rscript --vanilla train.R DATA OUT` reads DATA/train.csv and writes OUT/churn.rds and OUT.expected.csv.

library(rpart)
source("features.R")

arguments <- commandArgs(trailingOnly = TRUE)
data <- arguments[1L]
out <- arguments[2L]

# How often a row that left has a higher probability than one that stayed.
area_under_curve <- function(target, probability) {
  left <- sum(target)
  (sum(rank(probability)[target == 1]) - left * (left + 1) / 2) / (left * (length(target) - left))
}

# What predict() does not need: the rows that were trained on.
without_rows <- function(fit) {
  for (part in c("y", "x", "data", "model", "residuals", "fitted.values", "effects", "weights", "prior.weights", "where",
                 "linear.predictors")) fit[[part]] <- NULL
  if (!is.null(fit$qr)) fit$qr$qr <- NULL
  attr(fit$terms, ".Environment") <- baseenv()
  if (!is.null(fit$formula)) environment(fit$formula) <- baseenv()
  fit
}

customers <- features(read.csv(file.path(data, "train.csv"), encoding = "UTF-8"))
regression <- glm(left ~ ., family = binomial(), data = customers)
set.seed(20261121) # for the cross-validation that prunes
tree <- rpart(factor(left) ~ ., data = customers, method = "class", control = rpart.control(cp = 0.001))
tree <- prune(tree, cp = tree$cptable[which.min(tree$cptable[, "xerror"]), "CP"])

probability <- function(rows) {
  unname((predict(regression, rows, type = "response") + predict(tree, rows, type = "prob")[, "1"]) / 2)
}
expected <- probability(features(read.csv(file.path(data, "rows.csv"), encoding = "UTF-8")))
writeLines(c("churn_probability", sprintf("%.17g", expected)), paste0(out, ".expected.csv"))
saveRDS(list(regression = without_rows(regression), tree = without_rows(tree)), file.path(out, "churn.rds"))
cat(sprintf("%d rows, area under the curve %.4f\n", nrow(customers), area_under_curve(customers$left, probability(customers))))
