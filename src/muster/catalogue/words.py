"""Text as words, alike on every database: neither SQLite's nor PostgreSQL's own idea of a word is asked.

A word is a run of letters and digits without accents, in small letters. Both the text and the query are cut like this, and each
database is given words that it has nothing to decide about.
"""

import re
import unicodedata

#: PostgreSQL knows no position beyond this.
MOST_WORDS = 16_000
#: What is longer is cut: nobody types it.
LONGEST_WORD = 60
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The words of a text, in order, as many as are kept."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    found = []
    for match in _WORD.finditer(plain.casefold()):
        found.append(match.group()[:LONGEST_WORD])
        if len(found) == MOST_WORDS:
            break
    return found
