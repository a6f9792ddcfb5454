# From columns to what the fits see, for training and serving alike.

features <- function(data) {
  text <- vapply(data, is.character, NA)
  # "No internet service" says again what internet_service says already.
  data[text] <- lapply(data[text], function(column) sub("^No (internet|phone) service$", "No", column))
  data$total_charges[is.na(data$total_charges)] <- 0 # customers without a first bill
  data
}
