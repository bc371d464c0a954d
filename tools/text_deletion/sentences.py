"""Sentences, each with a paraphrase."""

PAIRS = [
    ("The film wasn't good, but its music was wonderful.", "A weak movie with a beautiful soundtrack."),
    ("My train to Berlin was late by two hours.", "I arrived in Berlin with a long delay by rail."),
    ("She planted tomatoes and beans behind the house.", "In the back garden she grows vegetables."),
    (
        "The doctor told him to stop smoking at once.",
        "He was advised by his physician to give up cigarettes.",
    ),
    (
        "Our neighbour's dog barks at every car that passes.",
        "The dog next door makes noise when traffic goes by.",
    ),
    (
        "Nobody in the office knows how to repair the printer.",
        "The printer is broken and no colleague can fix it.",
    ),
    (
        "Heavy rain flooded the cellar of the old school.",
        "Water stood in the school's basement after the storm.",
    ),
    ("He cooked a soup of carrots, ginger and coconut milk.", "Dinner was a carrot and ginger soup."),
    (
        "The company will close its factory in the north next year.",
        "A plant in the north is to be shut by the firm.",
    ),
    (
        "I lost my keys somewhere between the bank and the market.",
        "My keys went missing on the way to the market.",
    ),
    (
        "Children under six travel free on all buses in town.",
        "Young kids need no ticket for public transport.",
    ),
    ("The painting was stolen from a museum in Amsterdam.", "Thieves took an artwork from a Dutch gallery."),
    ("After the surgery she learned to walk again.", "She recovered her ability to walk after an operation."),
    (
        "Please send the signed contract back by Friday.",
        "Return the agreement with your signature before the weekend.",
    ),
    (
        "The volcano erupted at night and covered the village with ash.",
        "Ash from an eruption fell on the village.",
    ),
    ("Our team scored twice in the last five minutes.", "Late goals won us the match."),
    ("He reads the newspaper every morning with his coffee.", "With breakfast he catches up on the news."),
    ("The bridge is too low for trucks with containers.", "Large lorries cannot pass under the bridge."),
    (
        "Scientists found water ice in craters near the moon's pole.",
        "Frozen water was discovered on the moon.",
    ),
    ("The hotel room was clean, but the street outside was loud.", "A tidy room with noise from the road."),
    ("My grandmother taught me how to knit socks.", "I learned knitting from my grandma."),
    ("The government raised the tax on petrol again.", "Fuel has become more expensive by a new duty."),
    ("A lost tourist asked me the way to the cathedral.", "A visitor wanted directions to the church."),
    ("The battery of this phone lasts only half a day.", "This mobile has to be charged too often."),
    (
        "They sold their car and bought two electric bicycles.",
        "The couple now ride e-bikes instead of driving.",
    ),
    (
        "The lawyer said that the witness had changed his story.",
        "According to the attorney, the testimony was altered.",
    ),
    ("Bees are dying because of pesticides on the fields.", "Farm chemicals kill pollinating insects."),
    (
        "The library opens late on Mondays and closes early on Fridays.",
        "Opening hours of the library differ by weekday.",
    ),
]

THAI = [
    "เขาไปโรงเรียนทุกวันจันทร์", "วันนี้อากาศดีมากเราจึงออกไปเดินเล่น", "ประเทศไทยมีอาหารอร่อยหลายอย่าง",
    "แม่ของฉันปลูกผักและผลไม้หลังบ้าน", "รถไฟไปเชียงใหม่ล่าช้าสองชั่วโมง", "หมอบอกให้เขาเลิกสูบบุหรี่",
    "สุนัขของเพื่อนบ้านเห่าทั้งคืน", "นักเรียนอ่านหนังสือในห้องสมุด", "ฝนตกหนักจนน้ำท่วมถนน",
    "เธอชอบฟังเพลงและดูภาพยนตร์", "ตลาดแห่งนี้ขายปลาสดทุกเช้า", "พวกเขาเดินทางไปทะเลในวันหยุด",
]  # fmt: skip
"""Text without spaces between its words."""
