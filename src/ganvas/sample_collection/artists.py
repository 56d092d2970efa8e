"""The eight fictional artists, one per style."""

ARTISTS: dict[str, dict[str, str]] = {
    "Colour Fields": {
        "name": "Irena Valdmar",
        "years": "1908 - 1979",
        "genre": "Colour Fields,Abstraction",
        "nationality": "Slovenian",
        "bio": "Irena Valdmar is an invented painter who never lived outside this collection. "
        "She is said to have laid her bands of colour in thin washes at dusk, waiting each evening "
        "until the light had made up its mind.",
    },
    "Neoplastic Grids": {
        "name": "Joost Hemelrade",
        "years": "1881 - 1954",
        "genre": "Neoplastic Grids",
        "nationality": "Dutch",
        "bio": "Joost Hemelrade is a fictional painter, made up for this collection. "
        "The story goes that he ruled his black lines with a lath from the garden fence and "
        "allowed himself one red square a week.",
    },
    "Pointillist Landscapes": {
        "name": "Célestine Aubrevoie",
        "years": "1863 - 1931",
        "genre": "Pointillist Landscapes",
        "nationality": "French",
        "bio": "Célestine Aubrevoie never existed: she was invented to sign the landscapes of dots "
        "in this collection. Her imaginary neighbours remember her counting under her breath, and "
        "stopping only when the sun had gone.",
    },
    "Ink Waves": {
        "name": "Tamaki Minasegawa",
        "years": "1794 - 1861",
        "genre": "Ink Waves",
        "nationality": "Japanese",
        "bio": "Tamaki Minasegawa is an imaginary printmaker, invented for this collection. "
        "In the legend that goes with the prints, every block of waves was cut on board a ferry, "
        "and always on the way home.",
    },
    "Concentric Circles": {
        "name": "Oskar Wendelrau",
        "years": "1889 - 1962",
        "genre": "Concentric Circles,Abstraction",
        "nationality": "German",
        "bio": "Oskar Wendelrau is a fictional painter who lives only in this collection. "
        "He is supposed to have heard colours as chords, and to have drawn his circles around the "
        "places where they were loudest.",
    },
    "Paper Cut-outs": {
        "name": "Mireille Dessabran",
        "years": "1899 - 1987",
        "genre": "Paper Cut-outs",
        "nationality": "Belgian",
        "bio": "Mireille Dessabran is an invented artist, and her scissors are invented too. "
        "We like to think that she cut her leaves from memory, with the window open and the "
        "garden looking in.",
    },
    "Night Skies": {
        "name": "Pieter Sterrenoord",
        "years": "1851 - 1903",
        "genre": "Night Skies",
        "nationality": "Dutch",
        "bio": "Pieter Sterrenoord is a made-up painter whom no museum has ever hung. "
        "He is told to have worked by moonlight alone, on a hill beside a cypress, and to have "
        "slept through every day of his imaginary life.",
    },
    "Still Lifes": {
        "name": "Agnese Tavolini",
        "years": "1902 - 1976",
        "genre": "Still Lifes",
        "nationality": "Italian",
        "bio": "Agnese Tavolini is a fictional painter, invented to fill these tables with fruit. "
        "She owned, so the tale goes, one bottle and three bowls, and found no two mornings on "
        "which they looked the same.",
    },
}
