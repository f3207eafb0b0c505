-- What is shown. `sort_key` and `words` are the title and everything searchable, without accents and in lower case.
CREATE TABLE films (
  id text PRIMARY KEY,
  title text NOT NULL,
  year integer,
  genre text NOT NULL,
  director text,
  certificate text NOT NULL,
  minutes integer,
  distributor text,
  source text,
  rating double precision,
  votes integer NOT NULL,
  critics integer,
  gross double precision,
  budget double precision,
  sort_key text NOT NULL,
  words text NOT NULL
);
CREATE INDEX films_genre ON films (genre);
CREATE INDEX films_votes ON films (votes DESC, id);
