// Films: one by its id, and pages of those that hold every word of a search. Reads only, and of the primary: what is kept
// afterwards must be no older than the change that it was told of, and a replica may hear of that later than the caches.

const orders = {
  popular: 'votes DESC, id',
  rating: 'CASE WHEN votes > 500 THEN coalesce(rating, 0) ELSE 0 END DESC, id',
  newest: 'coalesce(year, 0) DESC, votes DESC, id',
  oldest: 'coalesce(year, 9999), votes DESC, id',
  title: 'sort_key, id',
}
export const sorts = Object.keys(orders)

const columns =
  'id, title, year, genre, director, certificate, minutes, distributor, source, rating, votes, critics, gross, budget'
const fits = "($1 = '' OR genre = $1) AND words LIKE ALL ($2::text[])"
const wordsMax = 8
const idLengthMax = 200

const plain = text => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()

function patternsOf(q) {
  const words = plain(q).split(/\s+/).filter(Boolean).slice(0, wordsMax)
  return words.map(word => `%${word.replace(/[\\%_]/g, letter => `\\${letter}`)}%`)
}

export function createCatalogue(database, kept) {
  async function find(id) {
    const text = `/* tenfold: primary */ SELECT ${columns} FROM films WHERE id = $1`
    const [film] = await database.rows('film', text, [id])
    return film
  }

  async function search({ q, genre, sort, page, size }) {
    const filter = [genre, patternsOf(q)]
    const [[{ total }], genres] = await Promise.all([
      database.rows(
        'film-count',
        `/* tenfold: primary */ SELECT count(*)::int AS total FROM films WHERE ${fits}`,
        filter,
      ),
      database.rows('genres', '/* tenfold: primary */ SELECT DISTINCT genre FROM films ORDER BY genre'),
    ])
    const pages = Math.max(1, Math.ceil(total / size))
    const shown = Math.min(page, pages)
    const films = await database.rows(
      `films-${sort}`,
      `/* tenfold: primary */ SELECT ${columns} FROM films WHERE ${fits} ORDER BY ${orders[sort]} LIMIT $3 OFFSET $4`,
      [...filter, size, (shown - 1) * size],
    )
    return { films, total, page: shown, pages, genres: genres.map(row => row.genre), sorts }
  }

  return {
    async find(id, { current = false } = {}) {
      if (id.length > idLengthMax) return undefined
      return kept.get(`film ${id}`, [`film:${id}`], current, () => find(id))
    },
    /** One page of the films that hold every word of `q`; a page beyond the last is the last. */
    search({ q = '', genre = '', sort = 'popular', page = 1, size = 24 }, { current = false } = {}) {
      const wish = { q, genre, sort, page, size }
      return kept.get(`search ${JSON.stringify(wish)}`, ['films'], current, () => search(wish))
    },
  }
}
