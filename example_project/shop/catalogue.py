"""Products of the shop, and the buyers of the example's orders. Addresses are of town halls and stations."""

PRODUCTS = [
    ("BEAN-250", "House blend, 250 g", "Chocolate, hazelnut, orange peel.", "8.95", 270, "0901210000", "NL", 28),
    ("BEAN-1000", "House blend, 1 kg", "For those who drink it daily.", "29.50", 1040, "0901210000", "NL", 28),
    ("BEAN-ETH", "Ethiopia Guji, 250 g", "Jasmine, apricot, bergamot.", "11.50", 270, "0901210000", "BE", 350),
    ("MUG-BLUE", "Stoneware mug, blue", "Thrown by hand, 300 ml.", "18.00", 380, "6912002500", "PT", 215),
    ("MUG-SAND", "Stoneware mug, sand", "Thrown by hand, 300 ml.", "18.00", 380, "6912002500", "PT", 40),
    ("DRIP-02", "Pour-over dripper", "Porcelain, for one to four cups.", "24.00", 410, "6911100000", "JP", 190),
    ("FILT-100", "Paper filters, 100", "Unbleached, size 02.", "6.50", 150, "4823200000", "DE", 90),
    ("KETL-09", "Gooseneck kettle", "Stainless steel, 0.9 l.", "64.00", 980, "7323930000", "DE", 260),
    ("GRND-M1", "Hand grinder", "Steel burrs, 40 clicks.", "89.00", 640, "8210000000", "DE", 0),
    ("SCAL-2K", "Brewing scale", "0.1 g, with timer, up to 2 kg.", "49.00", 350, "8423810000", "CN", 300),
]

# name, company, street, house number, postal code, city, state, country, telephone
BUYERS = [
    ("Anna Visser", "", "Stadhuisplein", "1", "5611 EM", "Eindhoven", "", "NL", "+31 40 000 0000"),
    ("Bram de Wit", "De Wit Interieur", "Stationsplein", "45", "3013 AK", "Rotterdam", "", "NL", ""),
    ("Chloé Dubois", "", "Place de l'Hôtel de Ville", "4", "75004", "Paris", "", "FR", "+33 1 00 00 00 00"),
    ("Dieter Köhler", "Köhler & Söhne GmbH", "Marienplatz", "8", "80331", "München", "", "DE", ""),
    ("Elena Rossi", "", "Piazza della Scala", "2", "20121", "Milano", "", "IT", "+39 02 000 0000"),
    ("Fernando Núñez", "", "Plaza de la Villa", "5", "28005", "Madrid", "", "ES", ""),
    ("Greta Huber", "", "Rathausplatz", "1", "1010", "Wien", "", "AT", ""),
    ("Harry O'Neill", "", "Albert Square", "1", "M60 2LA", "Manchester", "", "GB", "+44 161 000 0000"),
    ("Isabelle Maes", "Maes BV", "Grote Markt", "1", "2000", "Antwerpen", "", "BE", ""),
    ("Jürg Ammann", "", "Stadthausquai", "17", "8001", "Zürich", "", "CH", "+41 44 000 0000"),
    ("Kate Miller", "", "Dr Carlton B Goodlett Place", "1", "94102", "San Francisco", "CA", "US", "+1 415 000 0000"),
    ("Łukasz Wójcik", "", "plac Bankowy", "3", "00-950", "Warszawa", "", "PL", ""),
    ("Mette Sørensen", "", "Rådhuspladsen", "1", "1550", "København", "", "DK", ""),
    ("Nuno Gonçalves", "", "Praça do Município", "1", "1100-365", "Lisboa", "", "PT", ""),
]
