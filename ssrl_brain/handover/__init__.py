"""What leaves a stage: encoder folders, label folders, published models.

Plain files only, looked at before they are believed.
"""
