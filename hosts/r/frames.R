# The frames of the binary wire.

frame_kinds <- c(load = 2L, loaded = 3L, predict = 4L, answer = 5L, error = 6L, stop = 9L)
protocol_version <- 1L

words <- function(...) writeBin(as.integer(c(...)), raw(), size = 4L, endian = "little")
words_of <- function(bytes, count = 1L) readBin(bytes, "integer", count, size = 4L, endian = "little")

# One request, no time of its own, no notes: all that stands before the table of an answer.
answer_lead <- c(words(1, 0, 0, 0, 0, 0, 2), charToRaw("{}"), raw(2L))

# The next frame, or NULL at the end.
read_frame <- function(questions) {
  head <- readBin(questions, "raw", 16L)
  if (length(head) < 16L) return(NULL)
  if (as.integer(head[6L]) != protocol_version) stop("not a frame of host protocol 1")
  length <- words_of(head[1:4])
  payload <- if (length) readBin(questions, "raw", length) else raw()
  if (length(payload) < length) return(NULL)
  list(kind = as.integer(head[5L]), sequence = head[9:16], payload = payload)
}

write_frame <- function(answers, kind, sequence, payload) {
  head <- c(words(length(payload)), as.raw(c(kind, protocol_version, 0L, 0L)), sequence)
  if (length(payload) < 65536L) {
    writeBin(c(head, payload), answers)
  } else {
    writeBin(head, answers)
    writeBin(payload, answers)
  }
  flush(answers)
}

padded <- function(length) -(-length %/% 8) * 8

# The table of a PREDICT payload: rows, and data and nulls of each column as bytes.
read_table <- function(payload) {
  at <- padded(8 + 4 * words_of(payload[1:4])) # one request, or many: their rows are one table
  shape <- words_of(payload[at + 1:8], 2L)
  count <- shape[2L]
  lengths <- matrix(words_of(payload[at + 8 + seq_len(16L * count)], 4L * count), nrow = 4L)
  at <- at + 8 + 16 * count
  columns <- vector("list", count)
  for (index in seq_len(count)) {
    data <- lengths[1L, index]
    nulls <- lengths[3L, index]
    columns[[index]] <- list(
      data = payload[at + seq_len(data)],
      nulls = which(payload[at + padded(data) + seq_len(nulls)] != as.raw(0L))
    )
    at <- at + padded(data) + padded(nulls)
  }
  list(rows = shape[1L], columns = columns)
}

# The payload of an answer to one request.
write_table <- function(rows, columns) {
  lengths <- lapply(columns, function(column) words(length(column$data), 0L, length(column$nulls), 0L))
  parts <- lapply(columns, function(column) {
    padding <- function(bytes) raw(padded(length(bytes)) - length(bytes))
    c(column$data, padding(column$data), column$nulls, padding(column$nulls))
  })
  c(answer_lead, words(rows, length(columns)), unlist(lengths), unlist(parts))
}
