// Which film is shown when and where. A film's next days are planned when somebody looks at it for the first time that day;
// whoever looks at the same moment plans the same, and it is kept once. What other outlets sold is part of the plan: a
// believable house is not empty.

const daysShown = 5
/** Screenings that nobody bought a seat for are forgotten so long after their day. */
const daysKept = 7
/** Told by us, so that what is kept under a day is that day's. */
const today = '$2::date'

/** The n-th of four pieces of 96 pseudo-random bits, the same for the same screening. */
const bits = piece => `('x' || substr(hash.hex, ${piece * 24 + 1}, 24))::bit(96)`

const plan = `
INSERT INTO screenings (film, id, day, starts, hall, cents, elsewhere)
SELECT $1, day || '-' || replace(slot.starts, ':', ''), day, slot.starts, hall.name, hall.cents,
  (${bits(0)} & ${bits(1)}) | (${bits(2)} & repeat('000111111000', 8)::bit(96) & ${bits(3)})
FROM (SELECT ${today} + ahead AS day FROM generate_series(0, ${daysShown - 1}) AS ahead) AS days
CROSS JOIN (VALUES ('15:00', 1), ('17:45', 2), ('20:30', 0)) AS slot (starts, often)
JOIN (VALUES ('Aurora', 1250, 0), ('Lumière', 1400, 1), ('Orpheum', 1150, 2)) AS hall (name, cents, number)
  ON hall.number = (hashtext($1)::bigint + (day - DATE '2000-01-01') + 2147483648) % 3
CROSS JOIN LATERAL (SELECT encode(sha512(convert_to($1 || day || slot.starts, 'UTF8')), 'hex') AS hex) AS hash
WHERE slot.often = 0 OR hashtext($1 || day) & slot.often > 0
ON CONFLICT DO NOTHING`

const forget = `
DELETE FROM screenings AS old WHERE film = $1 AND day < ${today} - ${daysKept}
AND NOT EXISTS (SELECT FROM orders WHERE film = $1 AND screening = old.id)`

const shown = `/* tenfold: primary */
SELECT id, day::text AS date, starts AS time, hall, cents, day = ${today} + ${daysShown - 1} AS last FROM screenings
WHERE film = $1 AND day BETWEEN ${today} AND ${today} + ${daysShown - 1} ORDER BY id`

export function createProgramme(database, kept) {
  async function planned(values) {
    let found = await database.rows('programme', shown, values)
    if (!found.some(one => one.last)) {
      await database.transaction(async client => {
        await client.query({ name: 'plan', text: plan, values })
        await client.query({ name: 'forget', text: forget, values })
      })
      found = await database.rows('programme', shown, values)
    }
    return found.map(({ last, ...screening }) => screening)
  }

  return {
    /** The next days of a film that there is. */
    screeningsOf(film, { current = false } = {}) {
      const day = new Date().toISOString().slice(0, 10)
      return kept.get(`programme ${film} ${day}`, [`film:${film}`], current, () => planned([film, day]))
    },
  }
}
