# The churn model: the mean of a logistic regression and a tree, as train.R left them in churn.rds.

library(rpart)
source("features.R", local = TRUE) # the bundle is the working directory

fits <- readRDS("churn.rds")

predict <- function(data) {
  seen <- features(data)
  regression <- stats::predict(fits$regression, seen, type = "response")
  tree <- stats::predict(fits$tree, seen, type = "prob")[, "1"]
  list(churn_probability = unname((regression + tree) / 2))
}
