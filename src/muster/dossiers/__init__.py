"""What the factory knows of one version, gathered into documents for those who decide: report, model card, ML Test Score.

Reads many rooms and changes none; its only own deed is to keep what people declare to have tested by hand. It renders nothing:
`reports` does, from the documents made here. Another way to gather could take its place, if it claims no more than what is on record.
"""
