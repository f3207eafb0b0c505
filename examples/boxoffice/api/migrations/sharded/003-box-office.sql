-- As ../003-box-office.sql, for shards: what is unique contains the film, which is what rows are placed by, and references
-- stay with their film. Who sits where. The rule that no seat is sold twice is the primary key of `sold_seats`, and nothing else.
CREATE TABLE screenings (
  film text NOT NULL REFERENCES films,
  id text NOT NULL,
  day date NOT NULL,
  starts text NOT NULL,
  hall text NOT NULL,
  cents integer NOT NULL CHECK (cents > 0),
  -- Seats that other outlets sold before we opened, A1 first. Never changes after the screening was planned.
  elsewhere bit(96) NOT NULL,
  PRIMARY KEY (film, id)
);

-- `id` is chosen by whoever orders, so an order that is sent again is the same order.
CREATE TABLE orders (
  id text NOT NULL,
  film text NOT NULL,
  screening text NOT NULL,
  name text NOT NULL,
  email text NOT NULL,
  cents integer NOT NULL,
  ordered_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (film, id),
  FOREIGN KEY (film, screening) REFERENCES screenings (film, id)
);
CREATE INDEX orders_screening ON orders (film, screening);

CREATE TABLE sold_seats (
  film text NOT NULL,
  screening text NOT NULL,
  seat text NOT NULL CHECK (seat ~ '^[A-H]([1-9]|1[0-2])$'),
  order_id text NOT NULL,
  PRIMARY KEY (film, screening, seat),
  FOREIGN KEY (film, order_id) REFERENCES orders (film, id)
);
CREATE INDEX sold_seats_order ON sold_seats (film, order_id);
