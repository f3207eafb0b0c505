// Which film is shown when and where. A film's next days are planned when somebody looks at it for the first time that day;
// whoever looks at the same moment plans the same, and it is kept once. What other outlets sold is part of the plan: a
// believable house is not empty.

const daysShown = 5
/** Screenings that nobody bought a seat for are forgotten so long after their day. */
const daysKept = 7
const today = "(now() AT TIME ZONE 'UTC')::date"

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
AND NOT EXISTS (SELECT FROM orders WHERE film = old.film AND screening = old.id)`

const shown = `
SELECT id, day::text AS date, starts AS time, hall, cents, day = ${today} + ${daysShown - 1} AS last FROM screenings
WHERE film = $1 AND day BETWEEN ${today} AND ${today} + ${daysShown - 1} ORDER BY id`

export function createProgramme(database) {
  return {
    /** The next days of a film that there is. */
    async screeningsOf(film) {
      let found = await database.rows('programme', shown, [film])
      if (!found.some(one => one.last)) {
        await database.transaction(async client => {
          await client.query({ name: 'plan', text: plan, values: [film] })
          await client.query({ name: 'forget', text: forget, values: [film] })
        })
        found = await database.rows('programme', shown, [film])
      }
      return found.map(({ last, ...screening }) => screening)
    },
  }
}
