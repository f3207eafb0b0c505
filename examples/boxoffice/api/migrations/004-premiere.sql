-- One showing whose seats are sold at one moment: numbered, given out by us. That no seat is sold twice is its row, which
-- has room for one order. How many rows there are is said by the service (`premiere/house.mjs`).
CREATE TABLE premiere_orders (
  -- Chosen by whoever orders, so an order that is sent again is the same order.
  id text PRIMARY KEY,
  account text NOT NULL,
  name text NOT NULL,
  cents integer NOT NULL,
  ordered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX premiere_orders_account ON premiere_orders (account);

CREATE TABLE premiere_seats (
  seat integer PRIMARY KEY CHECK (seat > 0),
  order_id text REFERENCES premiere_orders
);
CREATE INDEX premiere_seats_order ON premiere_seats (order_id);
CREATE INDEX premiere_seats_free ON premiere_seats (seat) WHERE order_id IS NULL;

-- What sign-ins are signed with: made by whichever instance comes first, one for all of them.
CREATE TABLE sign_in_keys (
  id text PRIMARY KEY,
  private jsonb NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now()
);
