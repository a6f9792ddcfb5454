# As much of JSON as the wire needs: reading what Muster says, writing what went wrong.

# The value of a JSON text: objects and arrays are lists, null is NULL.
read_json <- function(text) {
  pattern <- "\"(?:[^\"\\\\]|\\\\.)*\"|[\\[\\]{}:,]|[^\\s\\[\\]{}:,\"]+"
  tokens <- regmatches(text, gregexpr(pattern, text, perl = TRUE))[[1L]]
  at <- 0L
  following <- function() {
    at <<- at + 1L
    if (at > length(tokens)) stop("a JSON text is cut off")
    tokens[[at]]
  }
  value <- function(token) {
    switch(substr(token, 1L, 1L),
      "{" = members(),
      "[" = elements(),
      "\"" = read_string(token),
      "t" = TRUE,
      "f" = FALSE,
      "n" = NULL,
      as.numeric(token)
    )
  }
  members <- function() {
    found <- list()
    repeat {
      token <- following()
      if (token == "}") return(found)
      if (token == ",") next
      following() # the colon
      found[read_string(token)] <- list(value(following()))
    }
  }
  elements <- function() {
    found <- list()
    repeat {
      token <- following()
      if (token == "]") return(found)
      if (token != ",") found[length(found) + 1L] <- list(value(token))
    }
  }
  value(following())
}

read_string <- function(token) {
  text <- substr(token, 2L, nchar(token) - 1L)
  if (!grepl("\\", text, fixed = TRUE)) return(text)
  pieces <- regmatches(text, gregexpr("\\\\u[0-9a-fA-F]{4}|\\\\.|[^\\\\]+", text, perl = TRUE))[[1L]]
  points <- unlist(lapply(pieces, function(piece) {
    if (startsWith(piece, "\\u")) return(strtoi(substr(piece, 3L, 6L), 16L))
    if (startsWith(piece, "\\")) {
      letter <- substr(piece, 2L, 2L)
      plain <- c(n = "\n", t = "\t", r = "\r", b = "\b", f = "\f")
      piece <- if (letter %in% names(plain)) plain[[letter]] else letter
    }
    utf8ToInt(piece)
  }))
  intToUtf8(points, allow_surrogate_pairs = TRUE)
}

# A text in quotes.
write_string <- function(text) {
  points <- utf8ToInt(enc2utf8(text))
  if (anyNA(points)) points <- utf8ToInt(iconv(text, "UTF-8", "ASCII", sub = "?"))
  letters <- vapply(points, function(point) {
    if (point == 34L || point == 92L) paste0("\\", intToUtf8(point))
    else if (point < 32L || point == 127L) sprintf("\\u%04x", point)
    else intToUtf8(point)
  }, "")
  paste0("\"", paste(letters, collapse = ""), "\"")
}
