"""Four hospitals, each with a table of its own, train one classifier: mpirun -n 4 python3 table.py

Alone, python3 table.py is one hospital with all the rows. Each rank would read its site's file; here it makes one up:
patients of four kinds, of which a site sees two."""

import numpy as np

import ecl


def patients(count, kinds, seed):
    """Six measurements of each, and what they have."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(0, 3, (4, 6))
    kind = random.choice(kinds, count)
    return centres[kind] + random.normal(0, 1, (count, 6)), np.array(["flu", "cold", "asthma", "nothing"])[kind]


site, sites = ecl.rank(), ecl.size()
seen = [site % 4, (site + 1) % 4] if sites > 1 else [0, 1, 2, 3]
X, y = patients(200 + 50 * site, seen, seed=10 + site)  # no row of these leaves the site

# In lock step, as it is over in a second: where ranks wait for a core that long, asynchronous ones would train alone.
classifier = ecl.Classifier(model="mlp:16", epochs=40, batch=16, mode="lock-step").fit(X, y)

own = classifier.score(*patients(500, seen, seed=50 + site))
everyone = classifier.score(*patients(500, [0, 1, 2, 3], seed=99))
print(f"site {site} has seen {', '.join(sorted(set(y)))}: right on {100 * own:.1f} % of rows like its own, "
      f"of all sites' rows on {100 * everyone:.1f} %\n", end="")
